"""From per-image scores to tables: values with intervals, and what averaging hides."""

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from afterimage.errors import InputError
from afterimage.metrics import statistics
from afterimage.metrics.controls import category_only

if TYPE_CHECKING:
    import pandas as pd

LATENT_KEYS = ["dataset", "subject", "target", "decoder", "split"]
IMAGE_KEYS = ["dataset", "subject", "method", "protocol", "metric"]
MEANS = ("mse", "mse_14", "mse_15", "mse_mean", "mse_optimal", "two_way")
LATENT_COLUMNS = [*LATENT_KEYS, "score", "value", "low", "high", "n", "sd_seeds"]
IMAGE_COLUMNS = [
    *IMAGE_KEYS, "value", "low", "high", "n_images", "n_samples", "sd_samples", "sd_seeds", "reason"
]  # fmt: skip


def read_scores(paths: Sequence[str]) -> "pd.DataFrame":
    """Join score files; those without a column `seed` are of seed 0."""
    import pandas as pd

    from afterimage.stores import read_table

    if not paths:
        return pd.DataFrame()
    table = pd.concat([read_table(path) for path in paths], ignore_index=True)
    if "seed" not in table:
        table["seed"] = 0
    table["seed"] = table["seed"].fillna(0).astype(int)
    return table


def per_image(rows: "pd.DataFrame", keys: Iterable[str] = ("score",)) -> "pd.DataFrame":
    """Average over seeds (and samples): index image id, a column for each of `keys`."""
    return rows.pivot_table(index="image_id", columns=list(keys), values="value", aggfunc="mean")


def latent_table(scores: "pd.DataFrame", n_bootstrap: int, seed: int) -> "pd.DataFrame":
    """`latent_mse.csv` from per-image rows.

    `r2` and `share_of_optimal` are ratios of sums over images and are resampled as such. Rows
    without an image id hold a figure of the whole set, and in `draws` what it was under the same
    resampled images (`set_draws`); seeds are averaged draw by draw.
    """
    import pandas as pd

    found: list[dict[str, Any]] = []
    for names, rows in _groups(scores, LATENT_KEYS):
        of_set = rows["image_id"] == ""
        values = per_image(rows[~of_set])
        seeds = {own: per_image(part) for own, part in rows[~of_set].groupby("seed")}
        for score, value, low, high in _latent_values(values, n_bootstrap, seed):
            by_seed = [point for own in seeds.values() for point in _points(own, score)]
            line = {**names, "score": score, "value": value, "low": low, "high": high}
            found.append({**line, "n": len(values), "sd_seeds": _spread(by_seed)})
        for score, own in rows[of_set].groupby("score"):
            line = {**names, "score": score, "value": float(own["value"].mean())}
            known = own.loc[own["value"].notna(), "draws"]
            if len(known):
                line["low"], line["high"] = statistics.interval(np.stack(known).mean(axis=0))
            found.append({**line, "n": len(values), "sd_seeds": _spread(own["value"])})
    return pd.DataFrame(found, columns=LATENT_COLUMNS)


def _latent_values(values: "pd.DataFrame", n_bootstrap: int, seed: int):
    columns = {name: values[name].to_numpy() for name in values.columns}
    for name in MEANS:
        if name in columns:
            yield name, *statistics.mean_interval(columns[name], n_bootstrap, seed)
    for name, (above, below) in _ratios(columns).items():
        value, low, high = statistics.ratio_interval(above, below, n_bootstrap, seed)
        # r2 = 1 - error / total: the complement turns the interval round.
        yield (name, 1 - value, 1 - high, 1 - low) if name == "r2" else (name, value, low, high)
    for name in sorted(set(columns) - {*MEANS, "total"}):
        yield name, *statistics.mean_interval(columns[name], n_bootstrap, seed)


def _ratios(columns: Mapping[str, np.ndarray]) -> dict[str, tuple[np.ndarray, np.ndarray]]:
    ratios = {}
    if "total" in columns:
        ratios["r2"] = (columns["mse"], columns["total"])
    if "mse_optimal" in columns:
        mean = columns["mse_mean"]
        ratios["share_of_optimal"] = (mean - columns["mse"], mean - columns["mse_optimal"])
    return ratios


def _points(values: "pd.DataFrame", score: str) -> list[float]:
    columns = {name: values[name].to_numpy() for name in values.columns}
    if score in columns:
        return [float(columns[score].mean())]
    above, below = _ratios(columns)[score]
    ratio = float(above.sum() / below.sum())
    return [1 - ratio if score == "r2" else ratio]


def image_table(
    scores: "pd.DataFrame",
    n_bootstrap: int,
    seed: int,
    categories: Mapping[str, Mapping[str, Any]] | None = None,
) -> "pd.DataFrame":
    """`image_metrics.csv` from per image and sample rows.

    Values are averaged over samples and seeds of an image, then over images. `sd_samples` is the
    standard deviation, over samples, of the mean over the images that have all of them: how much
    the value would change with another draw of the generator's noise; `sd_seeds` the same over
    training seeds.

    Parameters
    ----------
    categories : dataset -> {`labels`: image id -> category or None, `source`: in words}
    """
    import pandas as pd

    found: list[dict[str, Any]] = []
    for names, rows in _groups(scores, IMAGE_KEYS):
        computed = rows[rows["image_id"] != ""]
        if computed.empty:
            found.append({**names, **_nothing(rows["reason"].iloc[0])})
            continue
        values = computed.groupby("image_id")["value"].mean().to_numpy()
        value, low, high = statistics.mean_interval(values, n_bootstrap, seed)
        samples = _whole_samples(computed).groupby("sample")["value"].mean()
        seeds = computed.groupby("seed")["value"].mean()
        counts = {"n_images": len(values), "n_samples": int(computed["n_samples"].max())}
        spread = {"sd_samples": _spread(samples), "sd_seeds": _spread(seeds)}
        found.append(
            {**names, "value": value, "low": low, "high": high, **counts, **spread, "reason": ""}
        )
    found += _category_rows(scores, n_bootstrap, seed, categories or {})
    return pd.DataFrame(found, columns=IMAGE_COLUMNS)


def _whole_samples(rows: "pd.DataFrame") -> "pd.DataFrame":
    """Rows of the images that have every sample: means over them differ by the samples alone."""
    n_samples = rows.groupby("image_id")["sample"].transform("nunique")
    return rows[n_samples == n_samples.max()]


def _nothing(reason: str) -> dict[str, Any]:
    names = ("value", "low", "high", "sd_samples", "sd_seeds")
    numbers = dict.fromkeys(names, float("nan"))
    return {**numbers, "n_images": 0, "n_samples": 0, "reason": reason}


def _category_rows(scores, n_bootstrap: int, seed: int, categories) -> list[dict[str, Any]]:
    """Rows of the control `category_only`, one per identification metric."""
    found: list[dict[str, Any]] = []
    if scores.empty:
        return found
    known = scores[(scores["measure"] == "identification") & (scores["image_id"] != "")]
    for names, rows in _groups(known, ["dataset", "subject", "protocol", "metric", "ways"]):
        ways = int(names.pop("ways"))
        entry = categories.get(names["dataset"], {})
        labels, ids = entry.get("labels"), sorted(rows["image_id"].unique())
        line = {**names, "method": "category_only"}
        unlabelled = [name for name in ids if labels is None or name not in labels]
        if unlabelled:
            said = entry.get("source", "no category labels")
            reason = said if labels is None else f"image {unlabelled[0]} has no label in {said}"
            found.append({**line, **_nothing(reason)})
            continue
        chance = category_only([labels[name] for name in ids], ways)
        value, low, high = statistics.mean_interval(chance, n_bootstrap, seed)
        empty = {"sd_samples": float("nan"), "sd_seeds": float("nan")}
        counts = {"n_images": len(ids), "n_samples": 0, "reason": f"labels: {entry['source']}"}
        found.append({**line, "value": value, "low": low, "high": high, **empty, **counts})
    return found


def _groups(table: "pd.DataFrame", keys: list[str]):
    if table.empty:
        return
    for names, rows in table.groupby(keys, sort=True):
        yield dict(zip(keys, names, strict=True)), rows


def _spread(points: Any) -> float:
    points = np.asarray(points, dtype=np.float64)
    return float(points.std(ddof=1)) if len(points) > 1 else float("nan")


def check_rows(scores: "pd.DataFrame", keys: list[str]) -> None:
    """Refuse a table in which an image (and sample) stands twice under the same names."""
    if scores.empty:
        return
    twice = scores[scores.duplicated(keys)]
    if len(twice):
        names = ", ".join(str(twice.iloc[0][key]) for key in keys)
        raise InputError("score files", "each row once", f"{names} more than once")
