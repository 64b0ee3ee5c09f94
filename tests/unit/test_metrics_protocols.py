"""The shipped protocols say what their sources do; a mistake in one is refused by name."""

import numpy as np
import pytest
from PIL import Image

from afterimage.errors import InputError
from afterimage.metrics import protocols
from afterimage.metrics.prepare import (
    as_floats,
    as_tensor,
    interpolated,
    needs_torch,
    prepare_each,
)
from afterimage.metrics.protocols import Step
from afterimage.metrics.weights import NETWORKS


def metric(protocol: str, name: str) -> protocols.Metric:
    found = protocols.load_protocol(protocol)
    return next(entry for entry in found.metrics if entry.name == name)


def test_every_protocol_loads_and_asks_for_known_networks():
    names = protocols.known_protocols()
    assert {"report", "report-published", "brain-diffuser", "mindeye", "takagi"} <= set(names)
    for protocol in protocols.load_protocols(names):
        assert protocol.summary
        assert protocol.source
        for entry in protocol.metrics:
            assert entry.network in ("", *NETWORKS)


SQUARE_512 = (Step("resize", 512, "bilinear", "both"),)
BRAIN_DIFFUSER = (Step("resize", 425, "bicubic", "both"),)
SQUARE_224 = (Step("resize", 224, "bilinear", "both"),)
MINDEYE = Step("tensor", 256)
TAKAGI = (Step("resize", 299, "bilinear", "shorter"), Step("crop", 299))
TAKAGI_CLIP = (Step("resize", 224, "bicubic", "shorter"), Step("crop", 224))
ALEX, CLIP = "alexnet", "clip_vit_l14"


def pixels(measure, steps, window="uniform", per_column=False):
    """A literal row: measure, steps of both sides, and what else decides of the value."""
    return (measure, steps, "", "", 1, "real", 2, "each", window, per_column)


def distance(network, layer, steps, scale=1, samples="each"):
    return ("distance", steps, network, layer, scale, "real", 2, samples, "uniform", False)


def two_way(network, layer, steps, distractors="real", samples="each"):
    measure = "identification"
    return (measure, steps, network, layer, 1, distractors, 2, samples, "uniform", False)


def takagi(network, layer, steps=TAKAGI):
    return two_way(network, layer, steps, "generated", "average_correlations")


# Read in the projects' own code, not in the protocol files.
AS_PUBLISHED = {
    "report": {
        "pcc": pixels("pcc", SQUARE_512),
        "ssim": pixels("ssim", SQUARE_512),
        "lpips_alex": ("lpips", SQUARE_512, ALEX, "", 1, "real", 2, "each", "uniform", False),
        "efficientnet_v2_s": distance("efficientnet_v2_s", "avgpool", SQUARE_512),
    },
    "report-published": {
        "efficientnet_v2_s": distance(
            "efficientnet_v2_s", "avgpool", SQUARE_512, 255, "average_features"
        ),
    },
    "brain-diffuser": {
        "pcc": pixels("pcc", BRAIN_DIFFUSER),
        "ssim": pixels("ssim", BRAIN_DIFFUSER, "gaussian"),
        "ssim_per_column": pixels("ssim", BRAIN_DIFFUSER, "gaussian", True),
        "alexnet2": two_way(ALEX, "features.4", SQUARE_224),
        "alexnet5": two_way(ALEX, "features.11", SQUARE_224),
        "inception_v3": two_way("inception_v3", "avgpool", SQUARE_224),
        "clip": two_way(CLIP, "embedding", SQUARE_224),
        "efficientnet_b1": distance("efficientnet_b1", "avgpool", SQUARE_224),
        "swav": distance("swav", "avgpool", SQUARE_224),
    },
    "mindeye": {
        "pcc": pixels("pcc", (MINDEYE, Step("tensor", 425))),
        "ssim": pixels("ssim", (MINDEYE, Step("tensor", 425)), "gaussian"),
        "ssim_per_column": pixels("ssim", (MINDEYE, Step("tensor", 425)), "gaussian", True),
        "alexnet2": two_way(ALEX, "features.4", (MINDEYE,)),
        "alexnet5": two_way(ALEX, "features.11", (MINDEYE,)),
        "inception_v3": two_way("inception_v3", "avgpool", (MINDEYE, Step("tensor", 342))),
        "clip": two_way(CLIP, "embedding", (MINDEYE, Step("tensor", 224))),
        "efficientnet_b1": distance(
            "efficientnet_b1_v2", "avgpool", (MINDEYE, Step("tensor", 255))
        ),
        "swav": distance("swav", "avgpool", (MINDEYE, Step("tensor", 224))),
    },
    "takagi": {
        "alexnet_pool2": takagi(ALEX, "features.5"),
        "alexnet_pool5": takagi(ALEX, "features.12"),
        "alexnet_fc7": takagi(ALEX, "classifier.5"),
        "inception_v3": takagi("inception_v3", "flatten"),
        "clip": takagi(CLIP, "embedding", TAKAGI_CLIP),
        "clip_hidden6": takagi(CLIP, "hidden6", TAKAGI_CLIP),
        "clip_hidden12": takagi(CLIP, "hidden12", TAKAGI_CLIP),
    },
}


def test_every_shipped_protocol_and_metric_is_compared_with_its_source():
    shipped = {name: {m.name for m in protocols.load_protocol(name).metrics}
               for name in protocols.known_protocols()}  # fmt: skip
    assert shipped == {name: set(metrics) for name, metrics in AS_PUBLISHED.items()}


@pytest.mark.parametrize(
    ("protocol", "name"), [(p, name) for p, metrics in AS_PUBLISHED.items() for name in metrics]
)
@pytest.mark.parametrize("side", ["seen", "reconstruction"])
def test_a_metric_is_as_its_source_has_it(protocol, name, side):
    found = metric(protocol, name)
    assert AS_PUBLISHED[protocol][name] == (
        found.measure, getattr(found, side), found.network, found.layer, found.range,
        found.distractors, found.ways, found.samples, found.window, found.per_column,
    )  # fmt: skip


def test_report_and_its_published_efficientnet():
    assert metric("report", "ssim").window == "uniform"
    assert metric("report", "lpips_alex").seen == (Step("resize", 512),)
    mended = metric("report", "efficientnet_v2_s")
    published = metric("report-published", "efficientnet_v2_s")
    assert (mended.range, mended.samples) == (1, "each")
    assert (published.range, published.samples) == (255, "average_features")


def test_brain_diffuser_sizes_and_windows():
    assert metric("brain-diffuser", "pcc").reconstruction == (Step("resize", 425, "bicubic"),)
    assert metric("brain-diffuser", "alexnet5").seen == (Step("resize", 224),)
    assert metric("brain-diffuser", "alexnet2").layer == "features.4"
    assert metric("brain-diffuser", "ssim_per_column").per_column
    assert not metric("brain-diffuser", "ssim").per_column
    assert metric("brain-diffuser", "ssim").window == "gaussian"


def test_mindeye_goes_through_256_pixels_and_uses_other_weights():
    assert metric("mindeye", "pcc").seen == (Step("tensor", 256), Step("tensor", 425))
    assert metric("mindeye", "alexnet2").seen == (Step("tensor", 256),)
    assert metric("mindeye", "efficientnet_b1").network == "efficientnet_b1_v2"
    assert metric("brain-diffuser", "efficientnet_b1").network == "efficientnet_b1"


def test_takagi_turns_identification_round():
    for entry in protocols.load_protocol("takagi").metrics:
        assert entry.distractors == "generated"
        assert entry.samples == "average_correlations"
    assert metric("takagi", "clip_hidden6").layer == "hidden6"
    assert metric("takagi", "clip").seen == (
        Step("resize", 224, "bicubic", "shorter"),
        Step("crop", 224),
    )


def test_lower_is_better_for_distances_alone():
    assert metric("report", "lpips_alex").lower_is_better
    assert metric("report", "efficientnet_v2_s").lower_is_better
    assert not metric("report", "ssim").lower_is_better
    assert not metric("brain-diffuser", "alexnet5").lower_is_better


def written(tmp_path, line: str, name: str = "own"):
    path = tmp_path / f"{name}.yaml"
    path.write_text(
        f"summary: s\nsource: s\nseen: [{{resize: 8}}]\nreconstruction: [{{resize: 8}}]\n"
        f"metrics:\n  m: {line}\n"
    )
    return str(path)


def test_a_protocol_of_ones_own(tmp_path):
    found = protocols.load_protocol(written(tmp_path, "{measure: ssim, window: gaussian}"))
    assert found.name == "own"
    assert found.metrics[0].seen == (Step("resize", 8),)


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("{measure: sism}", "did you mean 'ssim'"),
        ("{measure: ssim, windw: gaussian}", "did you mean 'window'"),
        ("{measure: ssim, window: square}", "square"),
        ("{measure: pcc, network: alexnet}", "network"),
        ("{measure: identification, network: alexnet, distractors: both}", "both"),
        ("{measure: pcc, samples: average_features}", "average_features"),
        ("{measure: lpips, samples: average_correlations}", "average_correlations"),
        ("{measure: pcc, instead: [{resize: 8, filter: bicubc}]}", "did you mean 'bicubic'"),
        ("{measure: pcc, instead: [{resize: 8, side: longer}]}", "longer"),
        ("{measure: pcc, instead: [{crop: 8, filter: bicubic}]}", "no filter for crop"),
        ("{measure: pcc, instead: [{resize: big}]}", "whole number"),
        ("{measure: identification, network: alexnet, layer: features.4, ways: 1}", "2 or more"),
        ("{measure: identification, distractors: real}", "a network for identification"),
        ("{measure: distance, network: alexnet}", "a layer for distance"),
        ("{measure: distance, network: alexnettt, layer: x}", "did you mean 'alexnet'"),
        ("{measure: ssim, per_column: 'no'}", "true or false"),
        ("{measure: pcc, then: [{resize: 4, crop: 3}]}", "one of resize, crop or tensor"),
        ("{measure: pcc, then: [{resize: 4, colour: red}]}", "one of resize, crop or tensor"),
    ],
)
def test_mistakes_are_named(tmp_path, line, said):
    with pytest.raises(InputError, match=said):
        protocols.load_protocol(written(tmp_path, line))


def test_a_file_without_its_keys_is_refused(tmp_path):
    path = tmp_path / "own.yaml"
    path.write_text("summary: s\nsource: s\nmetrics:\n  m: {measure: pcc}\n")
    with pytest.raises(InputError, match="the key 'seen'"):
        protocols.load_protocol(str(path))


def test_unknown_and_repeated_names(tmp_path):
    with pytest.raises(InputError, match="did you mean 'mindeye'"):
        protocols.load_protocol("mindeyes")
    with pytest.raises(InputError, match="each protocol once"):
        protocols.load_protocols(["report", written(tmp_path, "{measure: pcc}", "report")])


def picture(height: int, width: int) -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, size=(height, width, 3), dtype=np.uint8)


def test_resizing_is_pillows_and_nothing_at_the_right_size():
    one = picture(20, 20)
    assert np.array_equal(prepare_each([one], [Step("resize", 20, "bicubic")])[0], one)
    found = prepare_each([one], [Step("resize", 13, "bicubic")])[0]
    assert np.array_equal(found, np.asarray(Image.fromarray(one).resize((13, 13), 3)))
    assert not np.array_equal(found, prepare_each([one], [Step("resize", 13, "bilinear")])[0])


# 1, 2, 3, 4 and 5 pixels more than the crop on the longer side: halves are rounded to even.
@pytest.mark.parametrize("shape", [(210, 220), (210, 230), (210, 240), (210, 250), (260, 210)])
def test_shorter_side_and_centre_crop_are_torchvisions(shape):
    from afterimage.compat import ensure_torchvision

    ensure_torchvision()
    from torchvision import transforms

    one = picture(*shape)
    theirs = transforms.Compose([transforms.Resize(21), transforms.CenterCrop(21)])
    found = prepare_each([one], [Step("resize", 21, "bilinear", "shorter"), Step("crop", 21)])[0]
    assert np.array_equal(found, np.asarray(theirs(Image.fromarray(one))))


def test_tensor_steps_are_torchvisions_without_antialiasing():
    from afterimage.compat import ensure_torchvision

    ensure_torchvision()
    from torchvision import transforms

    pictures = [picture(40, 40), picture(31, 25)]
    steps = [Step("tensor", 16), Step("tensor", 27)]
    assert needs_torch(steps)
    found = interpolated(pictures, steps, "cpu")
    for row, one in enumerate(pictures):
        expected = as_floats(as_tensor([one], "cpu"))
        for size in (16, 27):
            expected = transforms.Resize((size, size), antialias=False)(expected)
        assert np.allclose(found[row].numpy(), expected[0].numpy(), atol=1e-6)
