"""Cross-reference checks: each mistake gives one line that names the setting and the remedy."""

import copy
from pathlib import Path

import pytest
import yaml

from afterimage.configuration import check_configuration, check_keys, responses_of
from afterimage.errors import InputError

ROOT = Path(__file__).parents[2]
SCHEMA = yaml.safe_load((ROOT / "schemas/config.schema.yaml").read_text())
OVERLAYS = sorted((ROOT / "config").glob("*.yaml"))


def merged(base: dict, overlay: dict) -> dict:
    """As Snakemake merges --configfile: mappings by key, everything else replaced."""
    result = copy.deepcopy(base)
    for key, value in overlay.items():
        both = isinstance(value, dict) and isinstance(result.get(key), dict)
        result[key] = merged(result[key], value) if both else value
    return result


def shipped() -> dict:
    return yaml.safe_load((ROOT / "config.yaml").read_text())


def small() -> dict:
    """A configuration that stands by itself, with one dataset of each format."""
    things = {
        "format": "things",
        "subjects": ["sub-01"],
        "text": "definition",
        "split": {"scheme": "concept_holdout", "validation_fraction": 0.1},
        "areas": {
            "lower": {"regions": {"V1": {"columns": ["V1"]}, "hV4": {"columns": ["hV4"]}}},
            "higher": {"regions": {"FFA": {"columns": ["lFFA", "rFFA"]}}},
        },
        "inputs": {"image": "lower", "text": "higher"},
        "graph": {"nodes": {"early": ["V1"], "late": ["hV4"]}, "threshold": 0.5},
    }
    atlas = {"atlas": "HCP_MMP1", "labels": ["V1"]}
    nsd = {
        **copy.deepcopy(things),
        "format": "nsd",
        "subjects": ["subj01"],
        "sessions": [1, 3],
        "text": "captions",
        "split": {"scheme": "official", "validation_fraction": 0.1},
        "areas": {
            "lower": {"regions": {"V1": atlas, "hV4": atlas}},
            "higher": {"regions": {"ventral": atlas}},
        },
    }
    mine = {**copy.deepcopy(things), "format": "custom", "text": "captions"}
    return {
        "run": {
            "datasets": ["nsd", "things", "mine"],
            "decoders": {"image": ["linear", "gcn"], "text": ["linear"]},
            "methods": ["linear", "best", "oracle", "theirs"],
        },
        "external": {"theirs": {"things": {"sub-01": "pictures"}}},
        "datasets": {"nsd": nsd, "things": things, "mine": mine},
        "decoders": {
            "image": {"linear": {"kind": "linear"}, "gcn": {"kind": "gcn"}},
            "text": {"linear": {"kind": "linear"}},
        },
        "selection": {"candidates": {"image": ["gcn"], "text": ["linear"]}},
        "responses": {"normalise": "voxel", "max_bad_voxels": 0.05, "min_noise_ceiling": None},
        "reconstruction": {"steps": 50, "strength": 0.8},
        "scoring": {
            "protocols": ["report"],
            "networks": ["alexnet"],
            "weights": {"folder": None},
        },
    }


def changed(path: str, value) -> dict:
    """The small configuration with one value replaced, or removed if value is None."""
    config = small()
    *parents, last = path.split(".")
    entry = config
    for name in parents:
        entry = entry[name]
    if value is None:
        del entry[last]
    else:
        entry[last] = value
    return config


@pytest.mark.parametrize("overlay", [None, *OVERLAYS], ids=lambda path: path.name if path else "-")
def test_every_shipped_configuration_passes(overlay):
    config = shipped()
    if overlay is not None:
        config = merged(config, yaml.safe_load(overlay.read_text()))
    check_keys(config, SCHEMA)
    check_configuration(config)


def test_the_small_configuration_passes():
    check_configuration(small())


MISTAKES = [
    ("run.datasets", ["nds"], "run.datasets: .* 'nds'. did you mean 'nsd'"),
    ("run.datasets", ["nsd", "nsd"], "every name once, found 'nsd' 2 times"),
    ("run.decoders.image", ["gnc"], "run.decoders.image: .* 'gnc'. did you mean 'gcn'"),
    ("run.decoders.text", ["gcn"], "run.decoders.text: expected a key of decoders.text"),
    ("selection.candidates.image", ["gnc"], "selection.candidates.image: .* mean 'gcn'"),
    ("selection.candidates.text", [], "selection.candidates.text: .* at least one decoder"),
    ("run.methods", ["liner"], "run.methods: .* did you mean 'linear'"),
    ("external", {"best": {}}, "external: .* a name of its own, found 'best'"),
    ("external.theirs", {"thing": {}}, "external.theirs: .* did you mean 'things'"),
    ("external.theirs.things", {"sub-02": "x"}, "external.theirs.things: .* mean 'sub-01'"),
    ("decoders.image.gcn.kind", "gnc", "decoders.image.gcn.kind: .* did you mean 'gcn'"),
    ("decoders.image.gcn.widht", 8, "decoders.image.gcn: .* 'widht'. did you mean 'width'"),
    ("decoders.image.gcn.width", "wide", "decoders.image.gcn.width: .* type int"),
    ("decoders.image", {"lin-ear": {"kind": "linear"}}, "run.decoders.image"),
    ("datasets.nsd.subjects", [], "datasets.nsd.subjects: expected at least one subject"),
    ("datasets.nsd.subjects", ["subj 01"], "datasets.nsd.subjects: .* 'subj 01'"),
    ("datasets.nsd.format", "nds", "datasets.nsd.format: .* did you mean 'nsd'"),
    ("datasets.nsd.text", "caption", "datasets.nsd.text: .* did you mean 'captions'"),
    ("datasets.nsd.sessions", [4, 2], r"datasets.nsd.sessions: .* found \[4, 2\]"),
    ("datasets.nsd.split.folds", 2, "datasets.nsd.split.scheme: expected concept_holdout"),
    ("datasets.things.split.fold", 2, "datasets.things.split.fold: expected 1 to 1"),
    ("datasets.nsd.split.scheme", "concept_holdout", "datasets.nsd.split.scheme: .*no concepts"),
    ("datasets.nsd.inputs.text", "highr", "datasets.nsd.inputs.text: .* mean 'higher'"),
    (
        "datasets.nsd.areas.lower.regions.V1",
        {"columns": ["V1"]},
        "datasets.nsd.areas.lower.regions.V1: .* format nsd, found 'columns'",
    ),
    (
        "datasets.nsd.areas.lower.regions.V1.atlas",
        None,
        "areas.lower.regions.V1: expected the key 'atlas'",
    ),
    (
        "datasets.things.areas.higher.regions.FFA",
        {"labels": ["FFA"]},
        "datasets.things.areas.higher.regions.FFA: .* format things",
    ),
    ("datasets.things.graph.nodes.late", ["V4"], "things.graph.nodes.late: .* mean 'hV4'"),
    ("datasets.things.graph.nodes.late", ["FFA"], "a region of the lower area, found 'FFA'"),
    ("datasets.things.graph.nodes.late", ["V1"], "nodes.late: .* 'V1' in 'early' too"),
    ("datasets.things.graph.nodes.late", [], "nodes.late: expected at least one region"),
    ("datasets.things.graph", None, "datasets.things.graph: .* image decoder 'gcn'"),
    ("datasets.mine.decoders", {"image": {"gnc": {}}}, "datasets.mine.decoders.image: .* 'gcn'"),
    (
        "datasets.mine.decoders",
        {"image": {"gcn": {"widht": 3}}},
        "datasets.mine.decoders.image.gcn: .* did you mean 'width'",
    ),
    ("reconstruction.strength", 0.01, r"reconstruction: .* found 50 \* 0.01"),
    ("scoring.protocols", ["reprot"], "scoring.protocols: .* did you mean 'report'"),
]


@pytest.mark.parametrize(("path", "value", "said"), MISTAKES, ids=[m[0] for m in MISTAKES])
def test_each_mistake_gives_its_line(path, value, said):
    with pytest.raises(InputError, match=said) as error:
        check_configuration(changed(path, value))
    assert "\n" not in str(error.value)


def test_a_dataset_may_set_its_responses_otherwise():
    config = changed("datasets.nsd.responses", {"min_noise_ceiling": 5})
    check_configuration(config)
    assert responses_of(config, "nsd") == {**config["responses"], "min_noise_ceiling": 5}
    assert responses_of(config, "things") == config["responses"]


def test_things_has_no_repeats_to_select_voxels_by():
    config = changed("responses.min_noise_ceiling", 5)
    said = r"datasets\.things\.responses\.min_noise_ceiling: expected null: .* found 5"
    with pytest.raises(InputError, match=said):
        check_configuration(config)
    config["datasets"]["things"]["responses"] = {"min_noise_ceiling": None}
    check_configuration(config)


def test_the_linear_method_needs_linear_decoders():
    config = changed("decoders.text", {"ridge": {"kind": "linear"}})
    config["run"]["decoders"]["text"] = config["selection"]["candidates"]["text"] = ["ridge"]
    with pytest.raises(InputError, match=r"decoders\.text: expected a decoder named 'linear'"):
        check_configuration(config)
    config["run"]["methods"] = ["best"]
    check_configuration(config)


def test_a_text_decoder_with_a_graph_needs_the_graphs_area():
    config = changed("decoders.text.gcn", {"kind": "gcn"})
    config["run"]["decoders"]["text"] = ["linear", "gcn"]
    with pytest.raises(InputError, match=r"inputs\.text: expected 'lower'.* text decoder 'gcn'"):
        check_configuration(config)
    for settings in config["datasets"].values():
        settings["inputs"]["text"] = "lower"
    check_configuration(config)


def test_entries_that_no_run_names_may_be_unfinished():
    config = changed("datasets.things.subjects", [])
    config["run"]["datasets"] = ["nsd"]
    check_configuration(config)


@pytest.mark.parametrize(
    ("path", "said"),
    [
        ("sed", "configuration: expected a known key, found 'sed'. did you mean 'seed'"),
        ("run.methds", "run: .* did you mean 'methods'"),
        ("datasets.demo-nsd.subject", "datasets.demo-nsd: .* did you mean 'subjects'"),
        ("datasets.demo-nsd.areas.lower.region", "demo-nsd.areas.lower: .* mean 'regions'"),
        ("datasets.demo-nsd.areas.lower.regions.V1.label", "lower.regions.V1: .* mean 'labels'"),
        ("datasets.demo-nsd.responses.normalize", "responses: .* did you mean 'normalise'"),
        ("reconstruction.guidence", "reconstruction: .* did you mean 'guidance'"),
    ],
)
def test_unknown_keys_are_named_with_the_one_that_was_meant(path, said):
    config = shipped()
    *parents, last = path.split(".")
    entry = config
    for name in parents:
        entry = entry.setdefault(name, {})
    entry[last] = 1
    with pytest.raises(InputError, match=said):
        check_keys(config, SCHEMA)


def test_a_file_of_categories_is_looked_at_before_any_work(tmp_path):
    config = shipped()
    dataset = config["run"]["datasets"][0]
    config["datasets"][dataset]["categories"] = str(tmp_path / "labels.csv")
    with pytest.raises(InputError, match="a CSV of image_id and category"):
        check_configuration(config)
    (tmp_path / "labels.csv").write_text("id,label\n1,2\n")
    with pytest.raises(InputError, match="columns image_id and category"):
        check_configuration(config)
