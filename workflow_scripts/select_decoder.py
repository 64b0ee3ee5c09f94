"""Choose, for each target, the candidate with the lowest validation error.

Inputs: model.json of every candidate. Output: selected.json, {"image": name, "text": name,
"validation_error": {target: {name: error}}}. No test image has any part in it.
"""


def main(models: dict[str, dict[str, str]], out: str) -> None:
    """Compare and save.

    Parameters
    ----------
    models : target -> decoder name -> its model.json

    Raises
    ------
    InputError
        if a target has no candidate or a candidate's error is not a number
    """
    import math

    from afterimage import stores
    from afterimage.errors import InputError

    selected: dict = {"validation_error": {}}
    for target, candidates in models.items():
        if not candidates:
            raise InputError(f"selection.candidates.{target}", "at least one decoder", "none")
        errors = {}
        for name, path in candidates.items():
            errors[name] = stores.read_json(path)["validation_error"]
            if not math.isfinite(errors[name]):
                raise InputError(path, "a finite validation_error", str(errors[name]))
        selected[target] = min(errors, key=lambda name: (errors[name], name))
        selected["validation_error"][target] = errors
    stores.write_json(out, selected)


if "snakemake" in globals():
    from afterimage.jobs import job_log

    with job_log(snakemake.log[0], snakemake.threads):
        main(snakemake.params.models, snakemake.output[0])
