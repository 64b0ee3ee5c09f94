"""What the graph of regions may see of the config, and the responses it is made from."""


def graph_settings(wildcards):
    return ordered(settings_of(wildcards.dataset)["graph"])


def graph_responses(wildcards):
    area = settings_of(wildcards.dataset)["inputs"]["image"]
    return (
        f"results/{wildcards.dataset}/{wildcards.subject}/responses/{area}/train.zarr"
    )
