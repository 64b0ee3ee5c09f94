"""What training may see of the config, and the files that decoders are made from."""

from afterimage import decoders


def training_settings(wildcards):
    """A decoder's hyper-parameters; a further seed comes after its own, or after the config's."""
    settings = {"seed": config["seed"], **decoder_settings(wildcards)}
    settings["seed"] += methods.split_seed(wildcards.decoder)[1]
    return ordered(settings)


def training_state(wildcards):
    """Where a killed training goes on from; a further seed's is beside the first's."""
    name, seed = methods.split_seed(wildcards.decoder)
    job = f"{wildcards.dataset}-{wildcards.subject}-{wildcards.target}-{name}"
    return f"results/.partial/train_decoder/{job}{f'-seed{seed}' if seed else ''}"


def input_responses(target, split):
    """The responses of the area that a target is decoded from."""

    def path(wildcards):
        area = settings_of(wildcards.dataset)["inputs"][target]
        folder = f"results/{wildcards.dataset}/{wildcards.subject}/responses"
        return f"{folder}/{area}/{split}.zarr"

    return path


def input_area(wildcards):
    return settings_of(wildcards.dataset)["inputs"][wildcards.target]


def responses_for(split):
    """The same, for the job's own target."""
    return lambda wildcards: input_responses(wildcards.target, split)(wildcards)


def graph_for(wildcards):
    """The graph, for the kinds of decoder that use one."""
    if not decoders.needs_graph(decoder_settings(wildcards)["kind"]):
        return []
    return f"results/{wildcards.dataset}/{wildcards.subject}/graph.zarr"


def candidate_models(wildcards):
    folder = f"results/{wildcards.dataset}/{wildcards.subject}/decoders"
    return {
        target: {
            name: f"{folder}/{target}-{name}/model.json"
            for name in candidates_of(target)
        }
        for target in TARGET_ARRAYS
    }


def candidate_model_files(wildcards):
    models = candidate_models(wildcards)
    return [path for target in models for path in models[target].values()]
