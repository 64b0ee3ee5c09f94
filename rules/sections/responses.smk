"""What reading and normalising betas may see of the config, and the files they read."""

from afterimage.configuration import responses_of


def index_settings(wildcards):
    dataset = dataset_slice(wildcards.dataset, *READING, "split", "simulate")
    return ordered({"dataset": dataset, "seed": config["seed"]})


def reading_settings(wildcards):
    return ordered(
        {
            "dataset": dataset_slice(wildcards.dataset, *READING, "areas", "simulate"),
            "seed": config["seed"],
        }
    )


def response_settings(wildcards):
    train_samples = settings_of(wildcards.dataset)["train_samples"]
    responses = responses_of(config, wildcards.dataset)
    return ordered({**responses, "train_samples": train_samples})


def split_betas(split):
    """The stores of one split's trials, or of the job's own split."""

    def paths(wildcards):
        folder = f"results/{wildcards.dataset}/{wildcards.subject}/betas"
        own = split or wildcards.split
        return [f"{folder}/{own}/{part}.zarr" for part in parts_of(wildcards)]

    return paths


def training_responses(wildcards):
    """Validation and test are normalised by the training trials' statistics."""
    if wildcards.split == "train":
        return []
    folder = f"results/{wildcards.dataset}/{wildcards.subject}/responses"
    return [f"{folder}/{area}/train.zarr" for area in ("lower", "higher")]
