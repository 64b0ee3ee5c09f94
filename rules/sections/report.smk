"""What the page and the record may see of the config, and the files they read."""

from afterimage.needs import makes_pictures
from afterimage.report.directions import directions_of


def report_settings():
    names = {
        name: {
            "subjects": settings_of(name)["subjects"],
            "simulated": "simulate" in settings_of(name),
            "settings": dataset_slice(
                name,
                *STIMULI,
                *READING,
                "areas",
                "graph",
                "inputs",
                "responses",
                "split",
                "train_samples",
            ),
        }
        for name in DATASETS
    }
    stages = (
        "decoders",
        "diffusion",
        "reconstruction",
        "responses",
        "scoring",
        "selection",
    )
    return ordered(
        {
            "title": "afterimage",
            "datasets": names,
            "methods": METHODS,
            "metrics": directions_of(config["scoring"]["protocols"]),
            "seed": config["seed"],
            **{stage: config[stage] for stage in stages},
        }
    )


def trains():
    """Whether this run decodes anything: it need not, to score other systems' pictures."""
    return bool(TARGET_DECODERS or {"linear", *methods.FROM_BEST} & set(METHODS))


def for_each_subject(*names):
    """Files of the subjects that are decoded."""
    if not trains():
        return []
    return [
        f"results/{dataset}/{subject}/{name}"
        for dataset, subject in subjects()
        for name in names
    ]


def decoder_files(name, of=TARGET_DECODERS):
    return [
        f"results/{dataset}/{subject}/decoders/{target}-{decoder}/{name}"
        for dataset, subject in subjects()
        for target, decoder in of
    ]


def selections():
    """Each subject's choice of decoders, where a method follows it."""
    return (
        for_each_subject("selected.json")
        if set(METHODS).intersection(methods.FROM_BEST)
        else []
    )


def generator():
    """The model that this run uses; none where all pictures came from elsewhere."""
    return diffusion_model() if makes_pictures(config) else None


def code_of_rules(wildcards):
    """Rule -> fingerprint of its code; of decoders' rules, kind of decoder -> fingerprint."""
    found = {
        each.name: code_fingerprint(
            ROOT / "rules" / each.script, ROOT, without=unused_by()
        )
        for each in workflow.rules
        if each.script
    }
    kinds = {
        config["decoders"][target][name]["kind"] for target, name in TARGET_DECODERS
    }
    for name in ("train_decoder", "predict_latents"):
        script = ROOT / "workflow_scripts" / f"{name}.py"
        found[name] = {
            kind: code_fingerprint(
                script, ROOT, [f"afterimage.decoders.{kind}"], unused_by()
            )
            for kind in sorted(kinds)
        }
    return found
