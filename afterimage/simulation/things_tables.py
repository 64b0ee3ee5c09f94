"""The tables of a simulated THINGS-fMRI, with the release's columns: voxels, trials, concepts."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from afterimage.simulation.atlases import HCP_MMP1
from afterimage.simulation.brain import Brain
from afterimage.simulation.head import Head
from afterimage.simulation.scenes import DEFINITIONS
from afterimage.simulation.things_design import Trial

if TYPE_CHECKING:
    import pandas as pd

PRF_AREAS = "V1,V2,V3,hV4,VO1,VO2,LO1 (prf),LO2 (prf),TO1,TO2,V3b,V3a".split(",")
CATEGORY_AREAS = [
    f"{side}{area}" for area in "EBA FFA OFA STS PPA RSC TOS LOC".split() for side in "lr"
]
GLASSER = [f"glasser-{name.replace('-46v', f'-{chr(10)}46v')}" for name in HCP_MMP1[1:]]
"""Columns of the parcellation; two of the release's names hold a line break."""

CONCEPT_COLUMNS = [
    "Word",
    "uniqueID",
    "Example image",
    "Bigram",
    "Percent_known",
    "Rank (combining COCA/concreteness)",
    "Concreteness (M)",
    "COCA word freq (online)",
    "COCA word freq",
    "COCA (dispersion)",
    "COCA (rank)",
    "BNC freq",
    "SUBTLEX freq",
    "Dominant Part of Speech",
    "Bottom-up Category (Human Raters)",
    "Top-down Category (WordNet)",
    "Top-down Category (manual selection)",
    "All Bottom-up Categories",
    "WordNet Synonyms",
    "WordNet ID",
    "Wordnet ID2",
    "Wordnet ID3",
    "Wordnet ID4",
    "Definition (from WordNet, Google, or Wikipedia)",
    "Number of word meanings in list",
]

HOMONYMS = {
    "ball2": ("ball", "a party with dancing"),
    "kite2": ("kite", "a bird of prey with a forked tail"),
    "star2": ("star", "a person whom everybody knows"),
}
"""Unused concepts that share a word with a used one: unique id -> word, definition."""

_OVERLAP = 4
_PERIPHERY = 10.0


def voxel_table(head: Head, brain: Brain, subject: int, ceilings: np.ndarray) -> "pd.DataFrame":
    """`VoxelMetadata`: a row for each brain voxel in C order of the mask, 222 columns.

    Parameters
    ----------
    ceilings : shape (4, n_voxels): single-trial and test-set noise ceiling in percent, and the
        reliability of split halves, uncorrected and corrected
    """
    import pandas as pd

    voxels = np.argwhere(head.brain)
    n = len(voxels)
    rows = rows_of(head, brain)
    retinotopy = np.full((4, n), np.nan)
    x, y = (brain.field[:, 0] - 0.5) * _PERIPHERY, (0.5 - brain.field[:, 1]) * _PERIPHERY
    size = brain.field[:, 2] * _PERIPHERY
    mapped = ~np.isnan(x)
    retinotopy[:, rows[mapped]] = np.stack(
        [np.hypot(x, y), np.degrees(np.arctan2(y, x)) % 360, 10 * (brain.gain > 0) + 1.0, size]
    )[:, mapped]
    columns = {
        "voxel_id": np.arange(n),
        "subject_id": np.full(n, subject),
        **dict(zip(("voxel_x", "voxel_y", "voxel_z"), voxels.T, strict=True)),
        **dict(
            zip(
                ("nc_singletrial", "nc_testset", "splithalf_uncorrected", "splithalf_corrected"),
                ceilings,
                strict=True,
            )
        ),
        **dict(
            zip(
                ("prf-eccentricity", "prf-polarangle", "prf-rsquared", "prf-size"),
                retinotopy,
                strict=True,
            )
        ),
    }
    dummies = {
        name: np.zeros(n, dtype=int) for name in [*PRF_AREAS, *CATEGORY_AREAS, "IT", *GLASSER]
    }
    for name, members in _membership(head, brain, rows):
        dummies[name][members] = 1
    return pd.DataFrame({**columns, **dummies})


def rows_of(head: Head, brain: Brain) -> np.ndarray:
    """The row of each modelled voxel among the brain's voxels, shape (n_modelled,)."""
    order = np.full(head.brain.shape, -1)
    order[head.brain] = np.arange(head.brain.sum())
    return order[tuple(brain.xyz.T)]


def _membership(head: Head, brain: Brain, rows: np.ndarray) -> list[tuple[str, np.ndarray]]:
    """Which rows each column marks; a few voxels of LOC are marked as FFA's too."""
    side = head.cortex[tuple(brain.xyz.T)]
    members = []
    for region in head.regions:
        mine = brain.region == region
        if region in PRF_AREAS:
            members.append((region, rows[mine]))
            if f"glasser-{region}" in GLASSER:
                members.append((f"glasser-{region}", rows[mine]))
        elif region in ("FFA", "PPA", "LOC"):
            for hemisphere, letter in ((1, "l"), (2, "r")):
                members.append((f"{letter}{region}", rows[mine & (side == hemisphere)]))
                members.append(("IT", rows[mine & (side == hemisphere)]))
    if {"LOC", "FFA"} <= set(head.regions):
        for hemisphere, letter in ((1, "l"), (2, "r")):
            both = rows[(brain.region == "LOC") & (side == hemisphere)][:_OVERLAP]
            members.append((f"{letter}FFA", both))
    return members


def trial_table(trials: Sequence[Trial], subject: int) -> "pd.DataFrame":
    """`StimulusMetadata`: a row per trial, in order; `trial_id` counts them from 0."""
    import pandas as pd

    return pd.DataFrame(
        {
            "trial_type": [trial.picture.part for trial in trials],
            "session": [trial.session for trial in trials],
            "run": [trial.run for trial in trials],
            "subject_id": subject,
            "trial_id": range(len(trials)),
            "stimulus": [f"{trial.picture.name}.jpg" for trial in trials],
            "concept": [trial.picture.concept for trial in trials],
        }
    )


def write_concepts(path: Path) -> None:
    """`things_concepts.tsv`: 25 columns, tabs, CRLF, quotes around fields that hold a comma."""
    entries = {kind: (kind, definition) for kind, definition in DEFINITIONS.items()} | HOMONYMS
    rows = [dict(zip(CONCEPT_COLUMNS, CONCEPT_COLUMNS, strict=True))]
    for unique, (word, definition) in sorted(entries.items()):
        known = {
            "Word": word,
            "uniqueID": unique,
            "Bigram": "0",
            "Percent_known": "1",
            "Dominant Part of Speech": "Noun",
            "WordNet Synonyms": f"{word}, {unique}",
            "Definition (from WordNet, Google, or Wikipedia)": definition,
            "Number of word meanings in list": str(1 + (f"{word}2" in entries)),
        }
        rows.append({column: known.get(column, "") for column in CONCEPT_COLUMNS})
    lines = ["\t".join(map(_quoted, row.values())) for row in rows]
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes("".join(f"{line}\r\n" for line in lines).encode("ascii"))


def _quoted(field: str) -> str:
    return f'"{field}"' if "," in field else field
