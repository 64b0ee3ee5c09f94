"""Paired differences between methods or decoders, as one small vocabulary."""

from typing import TYPE_CHECKING

import numpy as np

from afterimage.report.directions import Directions
from afterimage.report.words import CONTROLS, METRICS, SCORES, better, metric_name

if TYPE_CHECKING:
    import pandas as pd

ALIASES = {
    "first": ("first", "method", "method_a", "decoder", "decoder_a", "a"),
    "second": ("second", "versus", "other", "method_b", "decoder_b", "reference", "baseline", "b"),
    "score": ("metric", "score"),
    "value": ("difference", "value", "mean_difference"),
    "p": ("p_holm", "holm", "p_adjusted", "p"),
    "n": ("n_images", "n"),
}
"""This module's word -> the names under which tables may hold it, the preferred one first."""


def read_comparisons(table: "pd.DataFrame | None", directions: Directions) -> "pd.DataFrame | None":
    """Bring a table of paired differences to the columns used here.

    Parameters
    ----------
    table : of methods, which has a column `protocol`, or of decoders

    Returns
    -------
    columns dataset, subject, first, second, score, value, low, high, p, n, gain, gain_low,
    gain_high (the difference signed so that a positive one means that the first is better), and
    where the table has them protocol, target, split; None without a table
    """
    if table is None:
        return None
    renamed = {}
    for name, candidates in ALIASES.items():
        found = next((column for column in candidates if column in table.columns), None)
        if found:
            renamed[found] = name
    result = table[[c for c in table.columns if c in renamed or c not in renamed.values()]]
    result = result.rename(columns=renamed).copy()
    for name in ("p", "n"):
        if name not in result:
            result[name] = np.nan
    if "split" in result:
        result = result[result["split"] == "test"]
    result = _turned(result[result["value"].notna()])
    if "protocol" in result:
        pairs = zip(result["protocol"], result["score"], strict=True)
        lower = np.array([directions.better(pair) == "lower" for pair in pairs], bool)
    else:
        lower = result["score"].map(better).eq("lower").to_numpy()
    result["gain"] = np.where(lower, -result["value"], result["value"])
    result["gain_low"] = np.where(lower, -result["high"], result["low"])
    result["gain_high"] = np.where(lower, -result["low"], result["high"])
    return result


def _turned(rows: "pd.DataFrame") -> "pd.DataFrame":
    """Name the better known candidate first: best, then networks, linear, controls."""
    turn = rows["first"].map(_rank).to_numpy() > rows["second"].map(_rank).to_numpy()
    names = ["first", "second", "value", "low", "high"]
    first, second, value, low, high = (rows[name].to_numpy() for name in names)
    return rows.assign(
        first=np.where(turn, second, first),
        second=np.where(turn, first, second),
        value=np.where(turn, -value, value),
        low=np.where(turn, -high, low),
        high=np.where(turn, -low, high),
    )


def _rank(name: str) -> int:
    if name == "best":
        return 0
    if name == "linear":
        return 2
    return 3 if name in CONTROLS else 1


def score_name(score: str) -> str:
    """The name of a picture metric or of a latent score."""
    if score in METRICS:
        return metric_name(score)
    return SCORES[score][0] if score in SCORES else score.replace("_", " ")
