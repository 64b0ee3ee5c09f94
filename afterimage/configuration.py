"""Checks of the configuration that its JSON schema cannot express: names that refer to names.

They run while Snakemake reads the workflow, before any job: a typo costs a second, not a night.
"""

import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from afterimage.errors import InputError, closest

TARGETS = ("image", "text")
AREAS = ("lower", "higher")
REGION_KEYS = {"nsd": ("atlas", "labels"), "things": ("columns",), "custom": ("columns",)}
TEXTS = {
    "nsd": ("captions",),
    "things": ("definition", "concept", "concept_definition"),
    "custom": ("captions",),
}
SUBJECT = re.compile(r"[A-Za-z0-9-]+")
NAME = re.compile(r"[A-Za-z0-9_]+")


def check_configuration(config: Mapping[str, Any]) -> None:
    """Check a configuration that fits its schema: everything that is named exists and fits.

    Only what `run` names is checked: entries that no run uses may be incomplete.

    Raises
    ------
    InputError
        naming the setting, with the name that was probably meant
    """
    run = config["run"]
    _known("run.datasets", run["datasets"], config["datasets"])
    _check_decoders(config)
    _check_methods(config)
    for name in run["datasets"]:
        _check_dataset(config, name)
    _check_sampling(config["reconstruction"])
    _check_scoring(config["scoring"])


def check_keys(config: Mapping[str, Any], schema: Mapping[str, Any], where: str = "") -> None:
    """Say which key a schema does not know, and which one was probably meant.

    A schema validator says the same in a paragraph; this goes first, for the most common mistake.

    Parameters
    ----------
    schema : JSON schema with `$defs`; only `properties`, `additionalProperties` and `$ref` count

    Raises
    ------
    InputError
        for the first unknown key
    """
    _check_keys(config, schema, schema.get("$defs", {}), where)


def check_values(config: Mapping[str, Any], schema: Mapping[str, Any]) -> None:
    """Check types and ranges against the JSON schema (draft 2020-12).

    Raises
    ------
    InputError
        for the mistake that explains most, in one line with the setting's description
    """
    from jsonschema import Draft202012Validator
    from jsonschema.exceptions import best_match

    error = best_match(Draft202012Validator(schema).iter_errors(config))
    if error is not None:
        where = ".".join(map(str, error.absolute_path)) or "configuration"
        wanted = f"{error.validator} {error.validator_value!r}".removeprefix("type ")
        meant = error.schema.get("description", "") if isinstance(error.schema, Mapping) else ""
        raise InputError(where, wanted.replace("'", ""), repr(error.instance), meant)


def _check_keys(config: Any, schema: Any, shared: Mapping[str, Any], where: str) -> None:
    if not isinstance(schema, Mapping) or not isinstance(config, Mapping):
        return
    if "$ref" in schema:
        schema = {**shared[schema["$ref"].rpartition("/")[2]], **schema}
    properties, others = schema.get("properties", {}), schema.get("additionalProperties")
    for key, value in config.items():
        if key not in properties and others is False:
            raise InputError(
                where or "configuration", "a known key", repr(key), closest(str(key), [*properties])
            )
        _check_keys(value, properties.get(key, others), shared, f"{where}.{key}".lstrip("."))


def _known(where: str, names: Iterable[str], known: Iterable[str], thing: str = "") -> None:
    """Every name is one of the known ones, and none occurs twice."""
    listed, present = list(names), [str(name) for name in known]
    for name in listed:
        if name not in present:
            raise InputError(where, thing or "a known name", repr(name), closest(name, present))
        if listed.count(name) > 1:
            raise InputError(where, "every name once", f"{name!r} {listed.count(name)} times")


def _check_decoders(config: Mapping[str, Any]) -> None:
    for target in TARGETS:
        entries = config["decoders"][target]
        thing = f"a key of decoders.{target}"
        _known(f"run.decoders.{target}", config["run"]["decoders"][target], entries, thing)
        _known(
            f"selection.candidates.{target}",
            config["selection"]["candidates"][target],
            entries,
            thing,
        )
        for name in entries:
            _well_named(f"decoders.{target}", name, NAME)


def _check_methods(config: Mapping[str, Any]) -> None:
    from afterimage.methods import FROM_BEST, METHODS

    methods, external = config["run"]["methods"], config["external"]
    taken = sorted({*METHODS} & {*external})
    if taken:
        raise InputError("external", "a name of its own", f"{taken[0]!r}, a method of ours")
    _known("run.methods", methods, [*METHODS, *external], "a known method")
    for name in set(methods) & set(external):
        _check_external(config, name)
    for target in TARGETS:
        if "linear" in methods and "linear" not in config["decoders"][target]:
            raise InputError(
                f"decoders.{target}",
                "a decoder named 'linear', for the method of that name",
                "none",
                "Add it, or take linear from run.methods.",
            )
        if set(FROM_BEST) & set(methods) and not config["selection"]["candidates"][target]:
            raise InputError(
                f"selection.candidates.{target}", "at least one decoder to select from", "none"
            )


def _check_external(config: Mapping[str, Any], name: str) -> None:
    """The datasets and subjects that another system made pictures for."""
    datasets, pictures = config["datasets"], config["external"][name]
    _known(f"external.{name}", pictures, datasets)
    for dataset in set(pictures) & set(config["run"]["datasets"]):
        subjects = datasets[dataset]["subjects"]
        where = f"external.{name}.{dataset}"
        _known(where, pictures[dataset], subjects, "a subject of the dataset")


def _well_named(where: str, name: str, pattern: re.Pattern[str]) -> None:
    if not pattern.fullmatch(str(name)):
        raise InputError(
            where, f"a name made of {pattern.pattern.rstrip('+')}", repr(name), "Rename it."
        )


def responses_of(config: Mapping[str, Any], dataset: str) -> dict[str, Any]:
    """How a dataset's betas become responses: the config's way, with what it sets otherwise."""
    return {**config["responses"], **config["datasets"][dataset].get("responses", {})}


def _check_dataset(config: Mapping[str, Any], name: str) -> None:
    settings = config["datasets"][name]
    where = f"datasets.{name}"
    if not settings["subjects"]:
        raise InputError(f"{where}.subjects", "at least one subject", "none")
    for subject in settings["subjects"]:
        _well_named(f"{where}.subjects", subject, SUBJECT)
    _known(f"{where}.format", [settings["format"]], REGION_KEYS, "a known format")
    _check_format(settings, where)
    _check_folds(settings["split"], f"{where}.split")
    _check_categories(settings)
    for target in TARGETS:
        _known(f"{where}.inputs.{target}", [settings["inputs"][target]], settings["areas"], "area")
        own = settings.get("decoders", {}).get(target, {})
        _known(f"{where}.decoders.{target}", own, config["decoders"][target])
    _check_decoders_of(config, settings, where)
    ceiling = responses_of(config, name)["min_noise_ceiling"]
    if settings["format"] == "things" and ceiling is not None:
        raise InputError(
            f"{where}.responses.min_noise_ceiling",
            "null: THINGS-fMRI shows every training picture once, and repeats make the ceiling",
            str(ceiling),
            "Set it to null here: other datasets keep theirs.",
        )


def _check_format(settings: Mapping[str, Any], where: str) -> None:
    """What one format's settings must be like."""
    kind = settings["format"]
    _known(f"{where}.text", [settings["text"]], TEXTS[kind], f"a text of format {kind}")
    for area in AREAS:
        for region, source in settings["areas"][area]["regions"].items():
            here = f"{where}.areas.{area}.regions.{region}"
            _known(here, source, REGION_KEYS[kind], f"a key of format {kind}")
            needed = REGION_KEYS[kind][0]
            if needed not in source:
                raise InputError(here, f"the key {needed!r} of format {kind}", "none")
    if kind == "nsd":
        first, last = settings.get("sessions", (1, 1))
        if not 1 <= first <= last:
            raise InputError(
                f"{where}.sessions", "first and last session, in this order", f"[{first}, {last}]"
            )
        if settings["split"]["scheme"] == "concept_holdout":
            raise InputError(
                f"{where}.split.scheme", "official, as NSD's pictures have no concepts",
                "'concept_holdout'",
            )  # fmt: skip


def _check_categories(settings: Mapping[str, Any]) -> None:
    """A file of categories is read now: tables need it after all the work is done."""
    if "categories" in settings:
        from afterimage.metrics.categories import read_labels

        read_labels(settings["categories"])


def _check_folds(split: Mapping[str, Any], where: str) -> None:
    """Folds divide held-out concepts, and the one that is tested is among them."""
    folds, fold = split.get("folds", 1), split.get("fold", 1)
    if (folds, fold) != (1, 1) and split["scheme"] != "concept_holdout":
        raise InputError(f"{where}.scheme", "concept_holdout, as folds are set", split["scheme"])
    if fold > folds:
        raise InputError(f"{where}.fold", f"1 to {folds}, the number of folds", str(fold))


def _check_decoders_of(config: Mapping[str, Any], settings: Mapping[str, Any], where: str) -> None:
    """Every decoder that will be trained on a dataset: its kind, settings and graph."""
    from afterimage.decoders import check_settings, needs_graph

    for target in TARGETS:
        own = settings.get("decoders", {}).get(target, {})
        named = (
            *config["run"]["decoders"][target],
            *config["selection"]["candidates"][target],
        )
        for name in dict.fromkeys(named):
            entry = f"decoders.{target}.{name}"
            here = f"{where}.{entry}" if name in own else entry
            values = {**config["decoders"][target][name], **own.get(name, {})}
            if needs_graph(check_settings(values, here)):
                _check_graph(settings, where, target, name)


def _check_graph(settings: Mapping[str, Any], where: str, target: str, decoder: str) -> None:
    """The graph that a decoder needs is over the regions of the area that it decodes."""
    user = f"{target} decoder {decoder!r}"
    nodes = (settings.get("graph") or {}).get("nodes")
    if not nodes:
        raise InputError(
            f"{where}.graph",
            f"nodes, for {user}",
            "none",
            "Add a graph, or take the decoder from run.decoders and selection.candidates.",
        )
    area = settings["inputs"]["image"]
    if settings["inputs"][target] != area:
        raise InputError(
            f"{where}.inputs.{target}",
            f"{area!r}, the area of the graph that {user} needs",
            repr(settings["inputs"][target]),
        )
    regions = settings["areas"][area]["regions"]
    taken: dict[str, str] = {}
    for node, members in nodes.items():
        here = f"{where}.graph.nodes.{node}"
        if not members:
            raise InputError(here, "at least one region", "none")
        _known(here, members, regions, f"a region of the {area} area")
        for region in members:
            if region in taken:
                raise InputError(
                    here, "every region in one node", f"{region!r} in {taken[region]!r} too"
                )
            taken[region] = node


def _check_sampling(settings: Mapping[str, Any]) -> None:
    run = int(settings["steps"] * settings["strength"])
    if run < 1:
        raise InputError(
            "reconstruction",
            "steps * strength of at least 1",
            f"{settings['steps']} * {settings['strength']}",
            "No step would be run: raise one of them.",
        )


def _check_scoring(settings: Mapping[str, Any]) -> None:
    from afterimage.metrics.weights import NETWORKS

    _check_protocols(settings["protocols"])
    _known("scoring.networks", settings["networks"], NETWORKS, "a known network")
    folder = settings["weights"]["folder"]
    if folder and not Path(folder).is_dir():
        raise InputError("scoring.weights.folder", "a folder, or null", f"no folder {folder}")


def _check_protocols(names: Iterable[str]) -> None:
    from afterimage.metrics.protocols import known_protocols, load_protocol

    known = known_protocols()
    for name in names:
        if not name.endswith(".yaml"):
            _known("scoring.protocols", [name], known, "a known protocol")
        load_protocol(name)
