"""What the finished demo must show: `make demo` first, then `make test-demo`."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

RESULTS = Path(__file__).parents[2] / "results"
STUDIES = {"demo-nsd": "subj01", "demo-things": "sub-01"}
# Metric -> its protocol, and whether a higher value is better.
JUDGED = {
    "pcc": ("report", True),
    "lpips_alex": ("report", False),
    "alexnet5": ("brain-diffuser", True),
}
CONTROLS = {"shuffled", "mean"}
N_DRAWS = 20_000

pytestmark = pytest.mark.demo


@pytest.fixture(scope="module")
def tables() -> dict[str, pd.DataFrame]:
    folder = RESULTS / "tables"
    if not (folder / "image_metrics.csv").exists():
        pytest.fail("no finished demo in results/: run make demo first")
    return {name: pd.read_csv(folder / f"{name}.csv") for name in ("image_metrics", "latent_mse")}


def row(tables: dict[str, pd.DataFrame], dataset: str, method: str, metric: str) -> pd.Series:
    table = tables["image_metrics"]
    mine = (table.dataset == dataset) & (table.method == method) & (table.metric == metric)
    return table[mine & (table.protocol == JUDGED[metric][0])].iloc[0]


@pytest.mark.parametrize("metric", JUDGED)
@pytest.mark.parametrize("dataset", STUDIES)
def test_best_beats_shuffled_and_oracle_beats_best(tables, dataset, metric):
    best, shuffled, oracle = (
        row(tables, dataset, method, metric) for method in ("best", "shuffled", "oracle")
    )
    if JUDGED[metric][1]:
        assert best.low > shuffled.high
        assert oracle.value > best.value
    else:
        assert best.high < shuffled.low
        assert oracle.value < best.value


@pytest.mark.parametrize("metric", JUDGED)
@pytest.mark.parametrize("dataset", STUDIES)
def test_no_method_is_better_than_the_true_latents(tables, dataset, metric):
    table = tables["image_metrics"]
    mine = (table.dataset == dataset) & (table.metric == metric) & table.value.notna()
    mine &= (table.protocol == JUDGED[metric][0]) & (table.method != "category_only")
    values = table[mine].set_index("method").value
    assert len(values) == 7
    assert (values.idxmax() if JUDGED[metric][1] else values.idxmin()) == "oracle"


@pytest.mark.parametrize("method", sorted(CONTROLS))
@pytest.mark.parametrize("metric", ["alexnet2", "alexnet5"])
@pytest.mark.parametrize("dataset", STUDIES)
def test_controls_identify_at_chance(tables, dataset, metric, method):
    """Within a 99.9 % bootstrap interval over images, drawn here and not read from the table."""
    path = RESULTS / dataset / STUDIES[dataset] / "scores" / f"images-{method}.parquet"
    scores = pd.read_parquet(path)
    scores = scores[(scores.metric == metric) & scores.value.notna()]
    values = scores.groupby("image_id").value.mean().to_numpy()
    assert len(values) >= 12
    draws = np.random.default_rng(0).integers(len(values), size=(N_DRAWS, len(values)))
    low, high = np.quantile(values[draws].mean(axis=1), [0.0005, 0.9995])
    assert low <= 0.5 <= high


def test_decoders_come_close_to_the_best_possible(tables):
    table = tables["latent_mse"]
    share = table[(table.score == "share_of_optimal") & (table.split == "test")]
    assert len(share) == 12
    assert (share[share.decoder == "linear"].value >= 0.85).all()
    assert (share[share.decoder != "linear"].value >= 0.7).all()
