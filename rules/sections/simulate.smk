"""What the simulation may see of the config."""


def simulated(layout):
    names = [
        name
        for name in DATASETS
        if "simulate" in settings_of(name) and settings_of(name)["format"] == layout
    ]
    return "|".join(names) or "none"


def simulation_settings(wildcards):
    return ordered(
        {
            **settings_of(wildcards.dataset)["simulate"],
            "subjects": settings_of(wildcards.dataset)["subjects"],
            "seed": config["seed"],
        }
    )
