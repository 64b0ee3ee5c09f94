"""The training loop: it learns, stops, resumes to the same bytes, and says why it cannot."""

import time

import numpy as np
import pytest
import torch

from afterimage.decoders import make, running, training
from afterimage.decoders.interface import Execution, Samples, TrainingSettings
from afterimage.decoders.networks import Network
from afterimage.decoders.steps import Resident, Step
from afterimage.errors import InputError
from tests.unit.decoder_samples import SMALL, brain, entry, graph, shapes


@pytest.fixture(autouse=True)
def one_thread():
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def trained(kind, train, validation, execution=None, **more):
    decoder = make(entry(kind, **more), shapes(train), graph())
    return decoder, decoder.fit(train, validation, execution or Execution())


def two_way(predicted: np.ndarray, truth: np.ndarray) -> np.ndarray:
    """(n, n) whether prediction i is closer in correlation to its own truth than to truth j."""
    similarity = np.corrcoef(predicted, truth)[: len(truth), len(truth) :]
    return np.diag(similarity)[:, None] > similarity


def identification(predicted: np.ndarray, truth: np.ndarray) -> float:
    wins = two_way(predicted, truth)
    return wins.sum() / (len(truth) * (len(truth) - 1))


@pytest.mark.parametrize("kind", SMALL)
def test_recovers_a_known_signal(kind):
    train, validation, test = brain(600)
    decoder, history = trained(kind, train, validation)
    predicted = decoder.predict(test.x, Execution())
    error = ((predicted - test.y) ** 2).mean()
    of_mean = ((train.mean_target() - test.y) ** 2).mean()
    assert error < 0.2 * of_mean
    assert identification(predicted, test.y) > 0.95
    best = min(row["validation"] for row in history)
    assert best == pytest.approx(
        ((decoder.predict(validation.x, Execution()) - validation.y) ** 2).mean(), rel=1e-4
    )


@pytest.mark.parametrize("kind", SMALL)
def test_shuffled_brains_are_at_chance(kind):
    """Within the 99.9 % interval of permuted pairings, and no better than the mean."""
    train, validation, test = brain(600)
    rng = np.random.default_rng(5)
    train = Samples(rng.permutation(train.x), train.image, train.y)
    validation = Samples(rng.permutation(validation.x), validation.image, validation.y)
    decoder, _ = trained(kind, train, validation)
    predicted = decoder.predict(test.x, Execution())
    by_chance = [identification(predicted, rng.permutation(test.y)) for _ in range(1000)]
    low, high = np.quantile(by_chance, [0.0005, 0.9995])
    # Ties, of predictions that are all alike, would make chance anything but a half.
    assert low < 0.5 < high < 0.65
    assert low <= identification(predicted, test.y) <= high
    gain = (((train.mean_target() - test.y) ** 2) - (predicted - test.y) ** 2).mean(axis=1)
    assert gain.mean() < 3.29 * gain.std() / np.sqrt(len(gain)) + 1e-6


@pytest.mark.parametrize("kind", ["vae", "gcn"])
def test_a_last_batch_of_one_sample(kind):
    train, validation, _ = brain(66)
    _, history = trained(kind, train, validation, batch_size=13, epochs=1)
    assert len(train.x) % 13 == 1
    assert np.isfinite(history[0]["train"])


def test_batches_hold_every_sample_once():
    for n in (2, 3, 12, 13, 14, 25):
        parts = training.batches(torch.arange(n), 12)
        assert torch.cat(parts).tolist() == list(range(n))
        assert all(len(part) > 1 for part in parts)


def test_divergence_is_said():
    train, validation, _ = brain(60)
    with pytest.raises(InputError, match="learning_rate"):
        trained("cnn", train, validation, learning_rate=1e18)


def test_too_few_samples_are_said():
    train, validation, _ = brain(60)
    with pytest.raises(InputError, match="2 training samples"):
        trained("cnn", Samples(train.x[:1], train.image[:1], train.y), validation)


def test_stops_by_patience_and_keeps_the_best_epoch():
    train, validation, _ = brain(80, noise=2.0)
    decoder, history = trained("cnn", train, validation, patience=3, epochs=60)
    errors = [row["validation"] for row in history]
    assert len(history) < 60
    assert len(errors) - (int(np.argmin(errors)) + 1) == 3
    assert decoder.notes() == {"epochs": len(history), "best_epoch": int(np.argmin(errors)) + 1}


def test_start_at_mean():
    """Starting at the mean, the untrained network is about as good as predicting the mean."""
    train, validation, _ = brain(200)
    of_mean = ((train.mean_target() - validation.y) ** 2).mean()
    _, at_mean = trained("cnn", train, validation, epochs=1, learning_rate=1e-6)
    _, at_zero = trained(
        "cnn", train, validation, epochs=1, learning_rate=1e-6, start_at_mean=False
    )
    assert at_mean[0]["validation"] < 1.2 * of_mean < at_zero[0]["validation"]


def test_a_step_is_adam_with_decoupled_decay_on_noisy_responses():
    """Against AdamW written by hand (Loshchilov & Hutter 2019), its gradients in closed form."""
    rng = np.random.default_rng(0)
    n, n_voxels, n_outputs, noise, rate, decay = 6, 5, 3, 0.7, 0.01, 0.4
    x, y = (rng.normal(size=(n, size)).astype(np.float32) for size in (n_voxels, n_outputs))
    settings = TrainingSettings(
        learning_rate=rate, batch_size=n, weight_decay=decay, input_noise=noise
    )

    class OneLayer(Network):
        def __init__(self):
            super().__init__()
            self.head = torch.nn.Linear(n_voxels, n_outputs)

        def forward(self, x):
            return self.head(x)

    torch.manual_seed(0)
    network = OneLayer()
    w, b = (one.detach().double().numpy().copy() for one in network.parameters())
    data = Resident(Samples(x, np.arange(n), y), "cpu")
    step = Step(network, training.adam(network, settings), data, settings, Execution())
    moments = {"w": [0.0, 0.0], "b": [0.0, 0.0]}
    for time_step in (1, 2):
        torch.manual_seed(time_step)
        step(torch.arange(n))
        torch.manual_seed(time_step)
        noisy = x + noise * torch.randn(n, n_voxels).double().numpy()
        slope = 2 * (noisy @ w.T + b - y) / (n * n_outputs)
        for name, gradient in (("w", slope.T @ noisy), ("b", slope.sum(axis=0))):
            first, second = moments[name]
            first, second = 0.9 * first + 0.1 * gradient, 0.999 * second + 0.001 * gradient**2
            moments[name] = [first, second]
            change = first / (1 - 0.9**time_step)
            change = change / (np.sqrt(second / (1 - 0.999**time_step)) + 1e-8)
            if name == "w":
                w = w - rate * decay * w - rate * change
            else:
                b = b - rate * change
    np.testing.assert_allclose(network.head.weight.detach().numpy(), w, atol=2e-6)
    np.testing.assert_allclose(network.head.bias.detach().numpy(), b, atol=2e-6)


def test_the_training_error_is_the_mean_over_samples():
    """With weights that hardly move, a smaller last batch counts by its samples."""
    train, validation, _ = brain(60)
    decoder, history = trained(
        "cnn", train, validation, batch_size=25, epochs=1, learning_rate=1e-12
    )
    assert len(train.x) % 25 == 10
    predicted = decoder.predict(train.x, Execution())
    expected = ((predicted - train.y[train.image]) ** 2).mean()
    assert history[0]["train"] == pytest.approx(expected, rel=1e-5)


@pytest.mark.parametrize("kind", ["cnn", "vae", "gcn"])
def test_the_seed_decides_everything(kind):
    train, validation, _ = brain(60)
    one, same, other = (
        trained(kind, train, validation, epochs=2, seed=seed, input_noise=0.1)[0].tensors()
        for seed in (1, 1, 2)
    )
    assert all(np.array_equal(one[name], same[name]) for name in one)
    assert not np.array_equal(one["head.weight"], other["head.weight"])


@pytest.mark.parametrize("kind", ["cnn", "vae", "gcn"])
@pytest.mark.parametrize("stop", [1, 4])
def test_stopped_and_resumed_ends_the_same(kind, stop, tmp_path, monkeypatch):
    train, validation, _ = brain(60)
    more = {"epochs": 6, "input_noise": 0.2, "weight_decay": 0.01}
    whole, history = trained(kind, train, validation, **more)
    monkeypatch.setattr("afterimage.decoders.checkpoints.SHARE_OF_TIME", 1e9)
    execution = Execution(state=tmp_path)
    trained(kind, train, validation, execution, **{**more, "epochs": stop})
    assert len(list(tmp_path.glob("*.safetensors"))) == 2
    resumed, again = trained(kind, train, validation, execution, **more)
    for name, value in whole.tensors().items():
        assert np.array_equal(value, resumed.tensors()[name]), name
    drop_seconds = [[{**row, "seconds": 0} for row in rows] for rows in (history, again)]
    assert drop_seconds[0] == drop_seconds[1]


def test_saving_takes_little_of_the_time(tmp_path, monkeypatch):
    from afterimage.decoders import checkpoints

    saved = []
    monkeypatch.setattr(
        checkpoints.stores, "write_json", lambda *_: (saved.append(1), time.sleep(1))
    )
    train, validation, _ = brain(60)
    trained("cnn", train, validation, Execution(state=tmp_path), epochs=4)
    assert len(saved) == 1


@pytest.mark.parametrize("compiled", [True, False])
def test_what_a_gpu_computes_with(compiled, monkeypatch):
    looked = []
    monkeypatch.setattr(running, "choose_device", lambda device: device)
    monkeypatch.setattr(running, "require_compiler", lambda: looked.append(1))
    plan = running.plan_execution({"device": "cuda", "precision": "auto", "compile": compiled})
    assert plan == Execution(device="cuda", half=True, compile=compiled, record=True)
    assert running.plan_execution({"device": "cpu", "compile": compiled}) == Execution()
    assert len(looked) == compiled
