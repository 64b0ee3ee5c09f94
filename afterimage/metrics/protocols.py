"""Scoring protocols by name: what exactly is computed before a number enters a table.

Each protocol is a small YAML file in `protocols/` beside this module (or a path of your own). It
says how seen and reconstructed pictures are prepared and, per metric, what is measured:

- `measure`: `pcc`, `ssim`, `lpips`, `distance` (correlation distance of a network's features) or
  `identification` (among `ways` pictures, two by default)
- `window` (`uniform` or `gaussian`) and `per_column` for SSIM
- `network`, `layer` and `range` (1, or 255 for the published slip of not dividing by 255)
- `distractors`: `real` (other seen pictures) or `generated` (reconstructions of the others)
- `samples`: `each` (score every sample, then average), `first`, `average_features` or
  `average_correlations`
- `then`: steps after the protocol's own preparation; `instead`: steps in its place
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

from afterimage.errors import InputError, closest

FOLDER = Path(__file__).with_name("protocols")
MEASURES = {
    "pcc": {"measure", "samples"},
    "ssim": {"measure", "samples", "window", "per_column"},
    "lpips": {"measure", "samples", "network"},
    "distance": {"measure", "samples", "network", "layer", "range"},
    "identification": {
        "measure", "samples", "network", "layer", "range", "distractors", "ways"
    },
}  # fmt: skip
CHOICES: dict[str, tuple[Any, ...]] = {
    "window": ("uniform", "gaussian"),
    "distractors": ("real", "generated"),
    "range": (1, 255),
    "samples": ("each", "first", "average_features", "average_correlations"),
}
STEP_CHOICES = {
    "filter": ("nearest", "bilinear", "bicubic", "lanczos"),
    "side": ("both", "shorter"),
}
LOWER_IS_BETTER = ("lpips", "distance")


@dataclass(frozen=True)
class Step:
    """One step of preparing a picture.

    kind : `resize` (Pillow, 8 bit), `crop` (centre, 8 bit) or `tensor` (bilinear interpolation of
        floats without antialiasing)
    size : pixels of the result's sides
    filter : Pillow's filter, for `resize`
    side : `both` sides become `size`, or the `shorter` one with the proportions kept
    """

    kind: str
    size: int
    filter: str = "bilinear"
    side: str = "both"


@dataclass(frozen=True)
class Metric:
    """One column of a table: a name, what is measured and how pictures are prepared for it."""

    name: str
    measure: str
    seen: tuple[Step, ...]
    reconstruction: tuple[Step, ...]
    network: str = ""
    layer: str = ""
    range: int = 1
    distractors: str = "real"
    ways: int = 2
    samples: str = "each"
    window: str = "uniform"
    per_column: bool = False

    @property
    def lower_is_better(self) -> bool:
        """Whether a perfect reconstruction has the lowest value."""
        return self.measure in LOWER_IS_BETTER


@dataclass(frozen=True)
class Protocol:
    """A named set of metrics with where it comes from."""

    name: str
    summary: str
    source: str
    metrics: tuple[Metric, ...]


def known_protocols() -> list[str]:
    """Names of the protocols that come with afterimage."""
    return sorted(path.stem for path in FOLDER.glob("*.yaml"))


def protocol_file(name: str) -> Path:
    """Where a protocol is: beside this module, or a path of one's own that ends in .yaml."""
    return Path(name) if name.endswith(".yaml") else FOLDER / f"{name}.yaml"


def load_protocol(name: str) -> Protocol:
    """Read a protocol by name, or from a path that ends in .yaml.

    Raises
    ------
    InputError
        for an unknown name, measure, key or value
    """
    import yaml

    path = protocol_file(name)
    if not path.is_file():
        raise InputError("protocol", "a known name", repr(name), closest(name, known_protocols()))
    content = yaml.safe_load(path.read_text())
    for key in ("summary", "source", "seen", "reconstruction", "metrics"):
        if not isinstance(content, Mapping) or key not in content:
            raise InputError(path, f"the key {key!r}", "none", "See docs/metrics.md.")
    metrics = [
        _metric(path, metric, settings, content) for metric, settings in content["metrics"].items()
    ]
    return Protocol(path.stem, content["summary"], content["source"], tuple(metrics))


def _metric(path: Path, name: str, settings: Mapping[str, Any], protocol: Mapping) -> Metric:
    where = f"{path.name}: {name}"
    measure = settings.get("measure", "")
    if measure not in MEASURES:
        raise InputError(where, "a known measure", repr(measure), closest(measure, list(MEASURES)))
    settings = dict(settings)
    then, instead = settings.pop("then", []), settings.pop("instead", None)
    for key, value in settings.items():
        if key not in MEASURES[measure]:
            known = sorted(MEASURES[measure])
            raise InputError(where, f"a setting of {measure}", repr(key), closest(key, known))
        if key in CHOICES and value not in CHOICES[key]:
            raise InputError(where, f"{key} in {CHOICES[key]}", repr(value))
    _check_samples(where, measure, settings.get("samples", "each"))
    _check_settings(where, measure, settings)

    def steps(side: str) -> tuple[Step, ...]:
        own = protocol.get(f"network_{side}") if "network" in settings else None
        before = instead if instead is not None else own if own is not None else protocol[side]
        return tuple(_step(where, step) for step in [*before, *then])

    return Metric(name, seen=steps("seen"), reconstruction=steps("reconstruction"), **settings)


def _check_settings(where: str, measure: str, settings: Mapping[str, Any]) -> None:
    from afterimage.metrics.weights import NETWORKS

    for key in ("network", "layer"):
        if key in MEASURES[measure] and not (settings.get(key)):
            raise InputError(where, f"a {key} for {measure}", "none")
    network = settings.get("network", NETWORKS[0])
    if network not in NETWORKS:
        raise InputError(where, "a known network", repr(network), closest(network, [*NETWORKS]))
    if not isinstance(settings.get("per_column", False), bool):
        raise InputError(where, "per_column: true or false", repr(settings["per_column"]))
    ways = settings.get("ways", 2)
    if not _is_count(ways) or ways < 2:
        raise InputError(where, "ways: a whole number of 2 or more", repr(ways))


def _is_count(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value > 0


def _check_samples(where: str, measure: str, samples: str) -> None:
    of_features = ("distance", "identification")
    if samples == "average_features" and measure not in of_features:
        raise InputError(where, "samples: average_features with a network's features", measure)
    if samples == "average_correlations" and measure != "identification":
        raise InputError(where, "samples: average_correlations with identification", measure)


def _step(where: str, step: Mapping[str, Any]) -> Step:
    kinds = [kind for kind in ("resize", "crop", "tensor") if kind in step]
    extra = set(step) - set(kinds) - {field.name for field in fields(Step)}
    if len(kinds) != 1 or extra:
        raise InputError(where, "one of resize, crop or tensor a step", str(dict(step)))
    rest = {key: value for key, value in step.items() if key != kinds[0]}
    if not _is_count(step[kinds[0]]):
        raise InputError(where, f"{kinds[0]}: pixels, a whole number", repr(step[kinds[0]]))
    for key, value in rest.items():
        known = STEP_CHOICES.get(key, ())
        if kinds[0] != "resize" or value not in known:
            expected = f"{key} in {known}" if kinds[0] == "resize" else f"no {key} for {kinds[0]}"
            raise InputError(where, expected, repr(value), closest(str(value), [*known]))
    return Step(kinds[0], step[kinds[0]], **rest)


def load_protocols(names: Sequence[str]) -> list[Protocol]:
    """Read several protocols; names of files must differ."""
    protocols = [load_protocol(name) for name in names]
    if len({protocol.name for protocol in protocols}) < len(protocols):
        raise InputError("scoring.protocols", "each protocol once", ", ".join(names))
    return protocols
