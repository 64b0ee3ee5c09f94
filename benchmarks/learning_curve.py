"""How each decoder's share of the optimum grows with the number of training trials.

    python benchmarks/learning_curve.py                     # the linear brain
    python benchmarks/learning_curve.py --brain nonlinear   # either: minutes of one core

Trains every decoder of config.yaml on growing parts of a simulated study of the demo's kind and
scores it on the same 200 test images. The optimum is the best linear decoder of single trials; the
one that is made for the test samples' means of trials surpasses it, and its share is printed too.
On the nonlinear brain the optimum is the decoder with the lowest validation error of those trained
on `--yardstick` times the largest size. Writes a figure, all numbers as CSV, and the tables of
docs/decoders.md, which it prints too.
"""

import argparse
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

sys.path.insert(0, str(Path(__file__).parents[1]))

from afterimage.decoders import make
from afterimage.decoders.interface import Execution, Samples, Shapes, mean_squared_error
from afterimage.decoders.running import plan_execution
from benchmarks.simulated_study import REPEATS, Study, simulate

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.figure import Figure

SIZES = {"linear": [205, 410, 820, 1640, 3280, 6560], "nonlinear": [410, 820]}
SCENES = 4000
N_BOOTSTRAP = 2000
MARKERS = {"linear": "s", "cnn": "o", "vae": "^", "gcn": "D"}


def learning_curve(
    entries: Mapping[str, Mapping[str, Any]],
    study: Study,
    sizes: Sequence[int],
    execution: Execution,
) -> Iterator[dict[str, Any]]:
    """Train every decoder on growing parts of the training trials.

    Parameters
    ----------
    entries : decoder name -> config entry
    sizes : numbers of training trials, of the first images, so that a smaller part is within
        every larger one

    Yields
    ------
    rows of decoder, n_trials, n_images, epochs and errors, (n_test,) squared error of every test
    sample
    """
    shapes = Shapes(study.train.x.shape[1], study.latent)
    for size in sizes:
        part = first_trials(study.train, size)
        for name, entry in entries.items():
            decoder = make(entry, shapes, study.graph)
            history = decoder.fit(part, study.validation, execution)
            predicted = decoder.predict(study.test.x, execution)
            yield {
                "decoder": name,
                "n_trials": len(part.x),
                "n_images": len(np.unique(part.image)),
                "epochs": len(history),
                "errors": squared_errors(predicted, study.test),
            }


def first_trials(samples: Samples, size: int) -> Samples:
    """All trials of the first images, as many images as `size` trials hold.

    The last image may be there with a part of its trials.
    """
    rows = np.argsort(samples.image, kind="stable")[:size]
    return Samples(samples.x[np.sort(rows)], samples.image[np.sort(rows)], samples.y)


def squared_errors(predicted: np.ndarray, samples: Samples) -> np.ndarray:
    """(n_samples,) mean squared error over each sample's outputs."""
    return ((predicted.astype(np.float64) - samples.y[samples.image]) ** 2).mean(axis=1)


def yardstick(
    entries: Mapping[str, Mapping[str, Any]], study: Study, execution: Execution
) -> np.ndarray:
    """Test predictions of the decoder with the lowest validation error, trained on all trials."""
    shapes = Shapes(study.train.x.shape[1], study.latent)
    trained = {}
    for name, entry in entries.items():
        decoder = make(entry, shapes, study.graph)
        decoder.fit(study.train, study.validation, execution)
        predicted = decoder.predict(study.validation.x, execution)
        trained[mean_squared_error(predicted, study.validation)] = name, decoder
    name, decoder = trained[min(trained)]
    print(f"yardstick: {name} on {len(study.train.x)} trials", flush=True)
    return decoder.predict(study.test.x, execution)


def summarise(
    rows: Sequence[Mapping[str, Any]], study: Study, optimal: np.ndarray, seed: int
) -> "pd.DataFrame":
    """Shares of the optimum, and paired differences to ridge, with intervals over test images.

    Returns
    -------
    a row per decoder and size: share_of_optimal, low, high; gain (the error of `linear` less the
    decoder's, on the same images and as many trials, in units of the error of the mean), its low
    and high
    """
    import pandas as pd

    from afterimage.metrics.statistics import mean_interval, ratio_interval

    of_mean = squared_errors(study.train.mean_target()[None], study.test)
    of_optimal = squared_errors(optimal, study.test)
    ridge = {row["n_trials"]: row["errors"] for row in rows if row["decoder"] == "linear"}
    found = []
    for row in rows:
        share = ratio_interval(of_mean - row["errors"], of_mean - of_optimal, N_BOOTSTRAP, seed)
        difference = (ridge[row["n_trials"]] - row["errors"]) / of_mean.mean()
        gain = mean_interval(difference, N_BOOTSTRAP, seed)
        line = {name: value for name, value in row.items() if name != "errors"}
        line |= {"mse": row["errors"].mean(), "mse_mean": of_mean.mean()}
        line |= {"mse_optimal": of_optimal.mean()}
        line |= dict(zip(("share_of_optimal", "low", "high"), share, strict=True))
        line |= dict(zip(("gain", "gain_low", "gain_high"), gain, strict=True))
        found.append(line)
    return pd.DataFrame(found)


def scores_of(
    target: str,
    study: Study,
    config: Mapping[str, Any],
    brain: str,
    sizes: Sequence[int],
    execution: Execution,
) -> "pd.DataFrame":
    """All of `summarise` for the decoders that config.yaml has for a target."""
    seed = config["seed"]
    entries = {name: {**entry, "seed": seed} for name, entry in config["decoders"][target].items()}
    optimal = study.best_linear if brain == "linear" else yardstick(entries, study, execution)
    of_means = {
        "decoder": "linear",
        "n_trials": 0,
        "errors": squared_errors(study.best_of_means, study.test),
    }
    known = summarise([of_means], study, study.best_linear, seed).iloc[0]
    share = f"{known.share_of_optimal:.3f} [{known.low:.3f}, {known.high:.3f}]"
    print(
        f"{target}: the best linear decoder of means of {REPEATS} trials has a share of {share}",
        flush=True,
    )
    rows = []
    for row in learning_curve(entries, study, sizes, execution):
        print(target, *(row[name] for name in ("decoder", "n_trials", "epochs")), flush=True)
        rows.append(row)
    return summarise(rows, study, optimal, seed).assign(target=target)


def draw(table: "pd.DataFrame", brain: str) -> "Figure":
    """Share against number of trials, a panel for each target."""
    from afterimage.report.drawing import COLOURS, DECODER_COLOURS, FAINT, new_figure
    from afterimage.report.words import DECODERS

    figure, axes = new_figure(7.2, 3.3, 1, 2, sharey=True)
    for axis, (target, rows) in zip(axes[0], table.groupby("target"), strict=True):
        for decoder, points in rows.groupby("decoder", sort=False):
            axis.errorbar(
                points["n_trials"],
                points["share_of_optimal"],
                [
                    points["share_of_optimal"] - points["low"],
                    points["high"] - points["share_of_optimal"],
                ],
                color=DECODER_COLOURS.get(decoder, COLOURS["amber"]),
                marker=MARKERS.get(decoder, "v"),
                markersize=5,
                elinewidth=0.8,
                label=DECODERS.get(decoder, decoder),
            )
        axis.axhline(1, color=FAINT, linewidth=0.9, linestyle=(0, (4, 3)))
        axis.set_xscale("log")
        sizes = sorted(rows["n_trials"].unique())
        axis.set_xticks(sizes, [str(size) for size in sizes])
        axis.minorticks_off()
        axis.set_xlabel("training trials")
        axis.set_title(f"{target} latents, {brain} simulated brain")
        axis.grid(axis="y")
        axis.legend(loc="lower right")
    axes[0, 0].set_ylabel("share of the optimum, test")
    return figure


def markdown(table: "pd.DataFrame") -> str:
    """Shares as a table: a row for each target and decoder, a column for each size."""
    sizes = sorted(table["n_trials"].unique())
    lines = ["| target | decoder | " + " | ".join(f"{size:,}" for size in sizes) + " |"]
    lines.append("|:--|:--|" + "--:|" * len(sizes))
    for (target, decoder), rows in table.groupby(["target", "decoder"], sort=False):
        cells = [f"{row.share_of_optimal:.3f}" for row in rows.itertuples()]
        lines.append(f"| {target} | {decoder} | " + " | ".join(cells) + " |")
    return "\n".join(lines)


def comparisons(table: "pd.DataFrame") -> str:
    """Ridge's error less each network's, in hundredths of the mean's error, with intervals."""
    sizes = sorted(table["n_trials"].unique())
    lines = ["| target | decoder | " + " | ".join(f"{size:,}" for size in sizes) + " |"]
    lines.append("|:--|:--|" + "--:|" * len(sizes))
    networks = table[table["decoder"] != "linear"]
    for (target, decoder), rows in networks.groupby(["target", "decoder"], sort=False):
        cells = [
            f"{100 * row.gain:+.1f} [{100 * row.gain_low:+.1f}, {100 * row.gain_high:+.1f}]"
            for row in rows.itertuples()
        ]
        lines.append(f"| {target} | {decoder} | " + " | ".join(cells) + " |")
    return "\n".join(lines)


def main() -> None:
    import pandas as pd
    import yaml

    from afterimage.report.drawing import save_figure, style

    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--brain", choices=SIZES, default="linear")
    parser.add_argument("--sizes", type=int, nargs="+", help="numbers of training trials")
    parser.add_argument("--yardstick", type=int, default=8, help="times the largest size")
    parser.add_argument("--device", choices=["auto", "cpu", "cuda"], default="cpu")
    parser.add_argument("--out", type=Path, default=Path("results/learning_curve"))
    arguments = parser.parse_args()
    sizes = arguments.sizes or SIZES[arguments.brain]
    config = yaml.safe_load((Path(__file__).parents[1] / "config.yaml").read_text())
    times = arguments.yardstick if arguments.brain == "nonlinear" else 1
    studies = simulate(config, arguments.brain, -(-times * max(sizes) // REPEATS), SCENES)
    execution = plan_execution({"device": arguments.device})
    tables = [
        scores_of(target, study, config, arguments.brain, sizes, execution)
        for target, study in studies.items()
    ]
    table = pd.concat(tables, ignore_index=True)
    arguments.out.mkdir(parents=True, exist_ok=True)
    table.to_csv(arguments.out / f"{arguments.brain}.csv", index=False)
    with style():
        save_figure(draw(table, arguments.brain), arguments.brain, arguments.out)
    title = "Ridge's error − decoder's, % of the mean's error:"
    text = f"{markdown(table)}\n\n{title}\n\n{comparisons(table)}\n"
    (arguments.out / f"{arguments.brain}.md").write_text(text)
    print(text)


if __name__ == "__main__":
    main()
