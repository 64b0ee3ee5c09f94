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
        ("{measure: pcc, then: [{resize: 4, crop: 3}]}", "one of resize, crop or tensor"),
        ("{measure: pcc, then: [{resize: 4, colour: red}]}", "one of resize, crop or tensor"),
    ],
)
def test_mistakes_are_named(tmp_path, line, said):
    with pytest.raises(InputError, match=said):
        protocols.load_protocol(written(tmp_path, line))


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


def test_shorter_side_and_centre_crop_are_torchvisions():
    from afterimage.compat import ensure_torchvision

    ensure_torchvision()
    from torchvision import transforms

    one = picture(30, 47)
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
