"""A whole method scored against per-image loops; averaging, batches and order."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from PIL import Image

from afterimage.metrics import perceptual, scorers
from afterimage.metrics.pictures import find_reconstructions
from afterimage.metrics.protocols import load_protocol
from afterimage.metrics.scoring import Networks, score_method, why_not

OWN = """
summary: s
source: s
seen: [{resize: 48, filter: bilinear}]
reconstruction: [{resize: 48, filter: bicubic}]
network_seen: [{resize: 64}]
network_reconstruction: [{resize: 64}]
metrics:
  pcc: {measure: pcc}
  first: {measure: pcc, samples: first}
  ssim: {measure: ssim, window: gaussian}
  tensor: {measure: ssim, instead: [{tensor: 40}]}
  lpips: {measure: lpips, network: alexnet}
  distance: {measure: distance, network: alexnet, layer: features.11}
  averaged: {measure: distance, network: alexnet, layer: features.11, samples: average_features}
  slip: {measure: distance, network: alexnet, layer: features.11, range: 255}
  real: &real {measure: identification, network: alexnet, layer: features.4}
  generated: &generated {<<: *real, distractors: generated}
  takagi: {<<: *generated, samples: average_correlations}
  ensemble: {<<: *real, samples: average_features}
  five: {measure: identification, network: alexnet, layer: features.4, ways: 5}
"""
IDS = ["3", "7", "12", "40", "41", "100"]
SAMPLES = 2


def smooth(generator: np.random.Generator, side: int) -> np.ndarray:
    small = generator.integers(0, 256, size=(6, 6, 3), dtype=np.uint8)
    return np.asarray(Image.fromarray(small).resize((side, side), Image.Resampling.BICUBIC))


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    """Six seen pictures, two noisy reconstructions of each, and a random AlexNet."""
    folder = tmp_path_factory.mktemp("pictures")
    generator = np.random.default_rng(0)
    seen = {name: smooth(generator, 60) for name in IDS}
    made = {}
    for name in IDS:
        for sample in range(SAMPLES):
            noisy = 0.5 * seen[name] + 0.5 * smooth(generator, 60)
            made[name, sample] = noisy.astype(np.uint8)
            Image.fromarray(made[name, sample]).save(folder / f"{name}_{sample}.png")
    path = folder / "own.yaml"
    path.write_text(OWN)
    torch.manual_seed(0)
    body = perceptual.AlexNet(classifier=False)
    heads = [torch.rand(channels) for channels in (64, 192, 384, 256, 256)]
    networks = Networks(
        {"alexnet": perceptual.FeatureNetwork(body)}, perceptual.Lpips(body.features, heads)
    )
    return folder, seen, made, load_protocol(str(path)), networks


def scored(world, batch_size: int = 5, ids=IDS) -> dict[str, dict[tuple[str, int], float]]:
    folder, seen, _, protocol, networks = world
    found = find_reconstructions([folder], ids)
    rows = score_method(found, seen.__getitem__, [protocol], networks, batch_size)
    table: dict[str, dict[tuple[str, int], float]] = {}
    for image_id, sample, _, metric, value, reason in rows:
        assert not reason
        table.setdefault(metric, {})[image_id, sample] = value
    return table


def resized(picture: np.ndarray, side: int, how: int) -> np.ndarray:
    return np.asarray(Image.fromarray(picture).resize((side, side), how))


def tensor(picture: np.ndarray) -> torch.Tensor:
    return torch.from_numpy(picture.copy()).permute(2, 0, 1)[None].float() / 255


def row_features(world, layer: str, value_range: int = 1):
    _, seen, made, _, networks = world
    network = networks.features["alexnet"]

    def of(picture):
        prepared = tensor(resized(picture, 64, Image.Resampling.BILINEAR))
        return network.features(prepared, [layer], value_range)[layer][0].double().numpy()

    return {n: of(p) for n, p in seen.items()}, {key: of(p) for key, p in made.items()}


def r(one: np.ndarray, other: np.ndarray) -> float:
    return float(np.corrcoef(one, other)[0, 1])


def test_every_image_sample_and_metric_has_its_row(world):
    table = scored(world)
    each = {(name, sample) for name in IDS for sample in range(SAMPLES)}
    together = {(name, -1) for name in IDS}
    for metric in (
        "pcc",
        "ssim",
        "tensor",
        "lpips",
        "distance",
        "slip",
        "real",
        "generated",
        "five",
    ):
        assert set(table[metric]) == each
    assert set(table["first"]) == {(name, 0) for name in IDS}
    for metric in ("averaged", "takagi", "ensemble"):
        assert set(table[metric]) == together


def test_pixel_scores_are_what_a_loop_with_scikit_image_gives(world):
    from skimage.color import rgb2gray
    from skimage.metrics import structural_similarity

    _, seen, made, _, _ = world
    table = scored(world)
    for (name, sample), picture in made.items():
        one = resized(seen[name], 48, Image.Resampling.BILINEAR)
        other = resized(picture, 48, Image.Resampling.BICUBIC)
        assert table["pcc"][name, sample] == pytest.approx(r(one.ravel(), other.ravel()))
        expected = structural_similarity(
            rgb2gray(one), rgb2gray(other), data_range=1, gaussian_weights=True, sigma=1.5,
            use_sample_covariance=False,
        )  # fmt: skip
        assert table["ssim"][name, sample] == pytest.approx(expected)
        small = [
            torch.nn.functional.interpolate(tensor(p), (40, 40), mode="bilinear")[0]
            for p in (seen[name], picture)
        ]
        grays = [rgb2gray(p.permute(1, 2, 0).double().numpy()) for p in small]
        expected = structural_similarity(*grays, data_range=1)
        assert table["tensor"][name, sample] == pytest.approx(expected)
    assert table["first"]["7", 0] == table["pcc"]["7", 0]


def test_distances_are_one_minus_r_per_sample_or_of_averaged_features(world):
    table = scored(world)
    seen, made = row_features(world, "features.11")
    slip_seen, slip_made = row_features(world, "features.11", 255)
    for name in IDS:
        mean = (made[name, 0] + made[name, 1]) / 2
        assert table["averaged"][name, -1] == pytest.approx(1 - r(seen[name], mean), abs=1e-5)
        for sample in range(SAMPLES):
            expected = 1 - r(seen[name], made[name, sample])
            assert table["distance"][name, sample] == pytest.approx(expected, abs=1e-5)
            expected = 1 - r(slip_seen[name], slip_made[name, sample])
            assert table["slip"][name, sample] == pytest.approx(expected, abs=1e-5)


def test_lpips_is_the_networks_own_distance(world):
    _, seen, made, _, networks = world
    table = scored(world)
    for (name, sample), picture in made.items():
        pair = [
            networks.lpips.features(tensor(resized(p, 64, Image.Resampling.BILINEAR)))
            for p in (seen[name], picture)
        ]
        expected = float(networks.lpips.distance(*pair)[0])
        assert table["lpips"][name, sample] == pytest.approx(expected, rel=1e-4)


def test_identification_directions_and_averages(world):
    table = scored(world)
    seen, made = row_features(world, "features.4")
    n = len(IDS)

    def matrix(sample):
        return np.array([[r(seen[i], made[j, sample]) for j in IDS] for i in IDS])

    for sample in range(SAMPLES):
        own = matrix(sample)
        for k, name in enumerate(IDS):
            by_real = (own[:, k] < own[k, k]).sum() / (n - 1)
            by_generated = (own[k] < own[k, k]).sum() / (n - 1)
            assert table["real"][name, sample] == pytest.approx(by_real)
            assert table["generated"][name, sample] == pytest.approx(by_generated)
    mean = np.mean([matrix(sample) for sample in range(SAMPLES)], axis=0)
    ensemble = np.array([[r(seen[i], made[j, 0] + made[j, 1]) for j in IDS] for i in IDS])
    for k, name in enumerate(IDS):
        assert table["takagi"][name, -1] == pytest.approx((mean[k] < mean[k, k]).sum() / (n - 1))
        own = (ensemble[:, k] < ensemble[k, k]).sum() / (n - 1)
        assert table["ensemble"][name, -1] == pytest.approx(own)


def test_batch_size_changes_nothing(world):
    small, large = scored(world, batch_size=1), scored(world, batch_size=64)
    for metric, values in large.items():
        assert small[metric] == pytest.approx(values, abs=2e-6)


@pytest.mark.parametrize(("device", "threads"), [("cpu", 3), ("cpu:0", 1), ("cpu:0", 3)])
def test_threads_and_a_gpus_way_change_nothing(world, device, threads):
    """`cpu:0` goes a GPU's way: whole batches of tensors, the next one made ahead."""
    folder, seen, _, protocol, networks = world
    found = find_reconstructions([folder], IDS)
    there = replace(networks, device=device)
    rows = score_method(found, seen.__getitem__, [protocol], there, 5, threads=threads)
    values = {(row[3], row[0], row[1]): row[4] for row in rows}
    alone = {(m, *key): value for m, own in scored(world).items() for key, value in own.items()}
    assert values == pytest.approx(alone, abs=1e-12)


def test_a_missing_sample_leaves_the_other_samples_alone(world, tmp_path):
    _, seen, made, protocol, networks = world
    for (name, sample), picture in made.items():
        if (name, sample) != ("12", 1):
            Image.fromarray(picture).save(tmp_path / f"{name}_{sample}.png")
    found = find_reconstructions([tmp_path], IDS)
    rows = score_method(found, seen.__getitem__, [protocol], networks, 4)
    values = {(row[0], row[1]): row[4] for row in rows if row[3] == "real"}
    whole = scored(world)["real"]
    assert ("12", 1) not in values
    assert all(values[name, 0] == whole[name, 0] for name in IDS)
    # Sample 1 is identified among the five images that have one.
    assert all(value in np.arange(5) / 4 for (_, sample), value in values.items() if sample)


def test_pictures_with_a_sample_number_each_are_all_scored(world, tmp_path):
    """Numbers of other systems mean nothing: 3_1, 7_2, 12_3 ... are every image's first sample."""
    _, seen, made, protocol, networks = world
    for number, name in enumerate(IDS, start=1):
        Image.fromarray(made[name, 0]).save(tmp_path / f"{name}_{number}.png")
    found = find_reconstructions([tmp_path], IDS)
    rows = score_method(found, seen.__getitem__, [protocol], networks, 5)
    once = scored(world)
    values = {(row[3], row[0]): row[4] for row in rows}
    assert {row[3] for row in rows if not row[5]} == {m.name for m in protocol.metrics}
    for metric in ("first", "real", "generated"):
        for name in IDS:
            assert values[metric, name] == pytest.approx(once[metric][name, 0], abs=1e-6)


def test_a_metric_without_any_value_has_a_row_with_the_reason(world, monkeypatch):
    folder, seen, _, protocol, networks = world
    monkeypatch.setattr(scorers.IdentificationScorer, "values", lambda self: iter(()))
    found = find_reconstructions([folder], IDS)
    rows = score_method(found, seen.__getitem__, [protocol], networks, 5)
    own = [row for row in rows if row[3] == "real"]
    assert [row[:2] for row in own] == [("", -1)]
    assert "enough images" in own[0][5]


def test_a_constant_reconstruction(world, tmp_path):
    _, seen, _, protocol, networks = world
    for name in IDS:
        Image.fromarray(np.full((60, 60, 3), 128, dtype=np.uint8)).save(tmp_path / f"{name}.png")
    found = find_reconstructions([tmp_path], IDS)
    rows = score_method(found, seen.__getitem__, [protocol], networks, 4)
    values = {m: [row[4] for row in rows if row[3] == m] for m in ("pcc", "real", "generated")}
    assert values["pcc"] == [0] * 6
    assert np.mean(values["real"]) == pytest.approx(0.5)
    assert values["generated"] == [0] * 6


def test_a_perfect_reconstruction(world, tmp_path):
    _, seen, _, protocol, networks = world
    for name in IDS:
        Image.fromarray(resized(seen[name], 60, Image.Resampling.BILINEAR)).save(
            tmp_path / f"{name}.png"
        )
    found = find_reconstructions([tmp_path], IDS)
    rows = score_method(found, seen.__getitem__, [protocol], networks, 4)
    for metric, best in (("lpips", 0), ("distance", 0), ("real", 1), ("generated", 1), ("five", 1)):
        assert [row[4] for row in rows if row[3] == metric] == pytest.approx([best] * 6, abs=1e-5)


def test_what_cannot_be_computed_says_why_and_stops_nothing(world):
    folder, seen, _, protocol, _ = world
    found = find_reconstructions([folder], IDS)
    networks = Networks(reasons={"alexnet": "no route", "lpips": "no heads"})
    rows = score_method(found, seen.__getitem__, [protocol], networks, 4)
    reasons = {row[3]: row[5] for row in rows if row[5]}
    assert reasons["lpips"] == "no heads"
    assert reasons["real"] == reasons["distance"] == "no route"
    assert len([row for row in rows if row[3] == "ssim"]) == 12
    assert all(np.isnan(row[4]) and row[0] == "" for row in rows if row[5])


def test_one_image_and_a_layer_that_is_not_there(world):
    _, _, _, protocol, networks = world
    real = next(metric for metric in protocol.metrics if metric.name == "real")
    assert "has 1" in why_not(real, networks, n_images=1)
    takagi = next(m for m in load_protocol("takagi").metrics if m.name == "alexnet_fc7")
    assert "classifier.5" in why_not(takagi, networks, n_images=9)
