"""What encoding may see of the config."""

STIMULI = ("format", "root", "text", "simulate")


def encoding_settings(*names):
    def settings(wildcards):
        diffusion = config["diffusion"]
        return ordered(
            {
                "dataset": dataset_slice(wildcards.dataset, *STIMULI),
                "seed": config["seed"],
                "model": diffusion_model(),
                **{name: diffusion[name] for name in names},
            }
        )

    return settings


def generator_settings():
    diffusion = config["diffusion"]
    return ordered(
        {
            "model": diffusion_model(),
            **{
                name: diffusion[name] for name in ("image_size", "n_tokens", "revision")
            },
            **{name: config["reconstruction"][name] for name in ("steps", "strength")},
        }
    )
