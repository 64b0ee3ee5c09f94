"""A finished run made up for the page's tests: plausible files of every kind, drawn from scenes."""

import json
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pandas as pd
from PIL import Image, ImageFilter

from afterimage.report.directions import directions_of
from afterimage.simulation.scenes import captions, draw, sample_scene
from afterimage.stores import write_arrays

METHODS = ("best", "linear", "oracle", "shuffled", "mean", "text_only")
METRICS = (
    ("report", "pcc", (0.95, 0.60, 0.45, 0.05, 0.10)),
    ("report", "ssim", (0.85, 0.45, 0.38, 0.20, 0.30)),
    ("report", "lpips_alex", (0.10, 0.42, 0.50, 0.70, 0.75)),
    ("brain-diffuser", "alexnet2", (0.99, 0.90, 0.84, 0.50, 0.50)),
    ("brain-diffuser", "alexnet5", (0.99, 0.93, 0.85, 0.50, 0.50)),
)
LEVEL = {"oracle": 0, "best": 1, "linear": 2, "text_only": 2, "shuffled": 3, "mean": 4}


@dataclass
class MadeDataset:
    """Stands for a dataset: pictures and captions by image id."""

    pictures: dict[str, np.ndarray]
    texts: dict[str, list[str]]

    def image(self, image_id: str) -> np.ndarray:
        return self.pictures[image_id]

    def captions(self, image_id: str) -> list[str]:
        return self.texts[image_id]


@dataclass
class MadeRun:
    """Where the files lie, and the arguments that the script takes."""

    results: Path
    out: Path
    cfg: dict
    files: dict = field(default_factory=dict)
    datasets: dict[str, MadeDataset] = field(default_factory=dict)

    def open_dataset(self, settings: dict, seed: int) -> MadeDataset:
        """What `afterimage.datasets.open_dataset` is replaced with."""
        return self.datasets[settings["root"]]

    @property
    def arguments(self) -> dict:
        return {**self.files, "out": str(self.out), "cfg": self.cfg, "results": str(self.results)}


def make_run(
    root: Path,
    n_images: int = 12,
    n_samples: int = 2,
    methods: tuple[str, ...] = METHODS,
    subjects: dict[str, list[str]] | None = None,
    simulated: dict[str, bool] | None = None,
    size: int = 128,
    seed: int = 0,
) -> MadeRun:
    """Write a whole run below `root`/results; large ones reuse a few dozen pictures."""
    subjects = subjects or {"demo-nsd": ["subj01"]}
    simulated = simulated or dict.fromkeys(subjects, True)
    results = root / "results"
    run = MadeRun(results, results / "report" / "index.html", {})
    names = (
        "reconstructions image_scores histories graphs responses decoders novelty selected".split()
    )
    run.files = {name: [] for name in names}
    run.cfg = {
        "title": "Pictures from brain activity",
        "seed": 0,
        "methods": list(methods),
        "metrics": directions_of(["report", "brain-diffuser"]),
        "diffusion": {"model": "resources/demo_diffusion", "image_size": 80},
        "reconstruction": {"n_samples": n_samples, "steps": 50, "strength": 0.8},
        "datasets": {
            name: {
                "subjects": mine,
                "simulated": simulated[name],
                "settings": {
                    "format": "things" if "things" in name else "nsd",
                    "root": name,
                    "split": {"scheme": "official", "validation_fraction": 0.1},
                },
            }
            for name, mine in subjects.items()
        },
    }
    tables: dict[str, list] = {"images": [], "latents": [], "pairs": [], "latent_pairs": []}
    for dataset, mine in subjects.items():
        rng = np.random.default_rng([seed, len(dataset)])
        run.datasets[dataset] = _pictures(n_images, size, rng, "things" in dataset)
        for subject in mine:
            _subject(run, dataset, subject, methods, n_samples, rng, tables)
    _tables(run, tables)
    return run


def _pictures(n: int, size: int, rng: np.random.Generator, single: bool) -> MadeDataset:
    pictures, texts = {}, {}
    drawn = [sample_scene(rng, 1 if single else None) for _ in range(min(n, 48))]
    painted = [draw(scene, size) for scene in drawn]
    for index in range(n):
        scene = drawn[index % len(drawn)]
        name = f"{scene.things[0].kind}_{index:02d}s" if single else str(2950 + 37 * index)
        pictures[name] = painted[index % len(drawn)]
        texts[name] = captions(scene, rng, 1 if single else 5)
    return MadeDataset(pictures, texts)


def _blurred(picture: np.ndarray, method: str, rng: np.random.Generator) -> Image.Image:
    radius = {"oracle": 0.6, "best": 2.0, "linear": 4.0}.get(method, 2.0)
    image = Image.fromarray(picture).filter(ImageFilter.GaussianBlur(radius))
    noise = rng.normal(0, 6 if method == "oracle" else 14, (8, 8, 3)).clip(-60, 60)
    patch = Image.fromarray((128 + noise).astype(np.uint8)).resize(image.size, Image.BICUBIC)
    return Image.fromarray(
        (np.asarray(image, float) + np.asarray(patch) - 128).clip(0, 255).astype(np.uint8)
    )


def _subject(
    run: MadeRun,
    dataset: str,
    subject: str,
    methods: tuple[str, ...],
    n_samples: int,
    rng: np.random.Generator,
    tables: dict[str, list],
) -> None:
    folder = run.results / dataset / subject
    seen = run.datasets[dataset]
    ids = list(seen.pictures)
    (folder / "scores").mkdir(parents=True)
    difficulty = rng.normal(0, 1, len(ids))
    distance = rng.gamma(4, 0.1, len(ids)) + 0.05 * difficulty
    for method in methods:
        _reconstructions(run, folder, method, ids, seen, n_samples, rng)
        tables["images"] += _scores(
            run, folder, method, ids, n_samples, difficulty - 2 * distance, rng
        )
    for first, second in (("best", "shuffled"), ("best", "linear"), ("oracle", "best")):
        for protocol, metric, levels in METRICS:
            gap = levels[LEVEL[first]] - levels[LEVEL[second]]
            tables["pairs"].append(
                [
                    dataset,
                    subject,
                    protocol,
                    metric,
                    first,
                    second,
                    gap,
                    gap - 0.03,
                    gap + 0.03,
                    0.002,
                ]
            )
    novelty = pd.DataFrame({"image_id": ids, "space": "image_latent", "distance": distance})
    novelty.to_parquet(folder / "scores" / "novelty.parquet")
    run.files["novelty"].append(str(folder / "scores" / "novelty.parquet"))
    _decoders(run, folder, tables)
    _brain(run, folder, rng)


def _reconstructions(run, folder, method, ids, seen, n_samples, rng) -> None:
    shard = folder / "reconstructions" / method / "shard0of1"
    shard.mkdir(parents=True)
    kept: dict[tuple[int, int], str] = {}
    rows = []
    for index, image_id in enumerate(ids):
        for sample in range(n_samples):
            place = (index % 48, sample % 2)
            if place not in kept:
                other = ids[(index + len(ids) // 2 + 1) % len(ids)]
                source = seen.pictures[other if method in ("shuffled", "mean") else image_id]
                picture = _blurred(source, method, rng)
                kept[place] = f"{image_id}_{sample}.png"
                picture.save(shard / kept[place], compress_level=1)
            rows.append([image_id, sample, kept[place], 128, sample])
    columns = ["image_id", "sample", "file", "native_size", "seed"]
    pd.DataFrame(rows, columns=columns).to_csv(shard / "manifest.csv", index=False)
    record = {
        "device": "NVIDIA Test",
        "precision": "float16",
        "seconds": 41.5,
        "pictures_per_second": 1.1,
        "peak_gpu_bytes": 2_400_000_000,
    }
    (shard / "sidecar.json").write_text(json.dumps(record))
    run.files["reconstructions"].append(str(shard))


def _scores(run, folder, method, ids, n_samples, ease, rng) -> list:
    rows, summary = [], []
    whose, counts = (*folder.parts[-2:], method), (len(ids), n_samples)
    for protocol, metric, levels in METRICS:
        mean = levels[LEVEL.get(method, 1)]
        sign = -1 if metric == "lpips_alex" else 1
        per_image = mean + sign * 0.05 * (ease - ease.mean()) * (method not in ("shuffled", "mean"))
        values = np.clip(per_image[:, None] + rng.normal(0, 0.03, (len(ids), n_samples)), -1, 1)
        for image_id, of_image in zip(ids, values, strict=True):
            rows += [[image_id, s, protocol, metric, v, ""] for s, v in enumerate(of_image)]
        half = 1.96 * values.mean(axis=1).std() / len(ids) ** 0.5 + 0.004
        value = values.mean()
        summary.append([*whose, protocol, metric, value, value - half, value + half, *counts, ""])
    reason = "the weights efficientnet_v2_s are not in resources/weights"
    summary.append([*whose, "report", "efficientnet_v2_s", None, None, None, *counts, reason])
    columns = ["image_id", "sample", "protocol", "metric", "value", "reason"]
    path = folder / "scores" / f"images-{method}.parquet"
    pd.DataFrame(rows, columns=columns).to_parquet(path)
    run.files["image_scores"].append(str(path))
    return summary


def _decoders(run: MadeRun, folder: Path, tables: dict[str, list]) -> None:
    dataset, subject = folder.parts[-2:]
    levels = {"linear": 0.62, "cnn": 0.58, "vae": 0.60, "gcn": 0.55}
    for target in ("image", "text"):
        decoders = ("linear", "cnn", "vae", "gcn") if target == "image" else ("linear", "cnn")
        for decoder in decoders:
            made = folder / "decoders" / f"{target}-{decoder}"
            made.mkdir(parents=True)
            error = levels[decoder] * (1 if target == "image" else 0.5)
            if decoder != "linear":
                epoch = np.arange(1, 21)
                fall = np.exp(-epoch / 4.0)
                history = pd.DataFrame(
                    {
                        "epoch": epoch,
                        "train": error * (0.75 + 0.5 * fall),
                        "validation": error * (1 + 0.4 * fall) + 0.002 * np.maximum(0, epoch - 14),
                        "seconds": 0.5,
                    }
                )
                history.to_csv(made / "history.csv", index=False)
                run.files["histories"].append(str(made / "history.csv"))
            model = {"kind": decoder, "target": target, "seconds": 12.0, "peak_gpu_bytes": 10**9}
            model |= {"n_validation": 12, "device": "cpu", "half_precision": False}
            (made / "model.json").write_text(json.dumps(model))
            run.files["decoders"].append(str(made / "model.json"))
            scores = {"mse": error, "mse_mean": 1.0, "r2": 1 - error, "two_way": 0.93}
            scores["share_of_optimal"] = 0.9 - error / 5
            if target == "text":
                scores |= {"mse_14": error, "mse_15": error * 14 / 15}
            for split in ("train", "validation", "test"):
                shift = {"train": -0.05, "validation": 0.01, "test": 0.02}[split]
                for score, value in scores.items():
                    value += shift if score.startswith("mse") and score != "mse_mean" else 0
                    whose = [dataset, subject, target, decoder, split, score]
                    tables["latents"].append([*whose, value, value - 0.02, value + 0.02, 24])
        for first in decoders[1:]:
            gap = (levels[first] - 0.62) * (1 if target == "image" else 0.5)
            score = "mse" if target == "image" else "mse_14"
            whose = [dataset, subject, target, "test", score, first, "linear"]
            tables["latent_pairs"].append([*whose, gap, gap - 0.025, gap + 0.025, 0.01])

    selected = folder / "selected.json"
    selected.write_text(json.dumps({"image": "gcn", "text": "linear"}))
    run.files["selected"].append(str(selected))


def _brain(run: MadeRun, folder: Path, rng: np.random.Generator) -> None:
    areas = {
        "lower": {"V1": 150, "V2": 140, "V3": 120, "V4": 110},
        "higher": {"ventral": 300},
    }
    for area, regions in areas.items():
        roi = np.repeat(list(regions), list(regions.values()))
        centre = rng.normal(0, 12, (len(regions), 3)).repeat(list(regions.values()), axis=0)
        path = folder / "responses" / area / "train.zarr"
        write_arrays(
            path,
            {
                "x": np.zeros((20, len(roi)), np.float32),
                "image_id": np.array([f"{i % 12}" for i in range(20)]),
                "voxel_roi": roi,
                "voxel_xyz": (centre + rng.normal(0, 6, (len(roi), 3))).astype(np.float32),
                "voxel_noise_ceiling": (rng.beta(2, 7, len(roi)) * 100).astype(np.float32),
                "voxel_kept": np.ones(len(roi), bool),
            },
        )
        run.files["responses"].append(str(path))
    pearson = np.array([[1, 0.82, 0.61], [0.82, 1, 0.74], [0.61, 0.74, 1]])
    write_arrays(
        folder / "graph.zarr",
        {
            "node_name": np.array(["V1", "V2", "V3V4"]),
            "node_size": np.array([150, 140, 230]),
            "pearson": pearson,
            "adjacency": np.triu(pearson, 1),
        },
    )
    run.files["graphs"].append(str(folder / "graph.zarr"))


def _tables(run: MadeRun, tables: dict[str, list]) -> None:
    folder = run.results / "tables"
    folder.mkdir(parents=True)
    columns = {
        "images": "method protocol metric value low high n_images n_samples reason",
        "latents": "target decoder split score value low high n",
        "pairs": "protocol metric method reference difference low high p_holm",
        "latent_pairs": "target split score decoder reference difference low high p_holm",
    }
    names = {
        "images": "image_metrics",
        "latents": "latent_mse",
        "pairs": "comparisons",
        "latent_pairs": "latent_comparisons",
    }
    run.files["tables"] = {}
    for key, name in names.items():
        path = folder / f"{name}.csv"
        pd.DataFrame(tables[key], columns=["dataset", "subject", *columns[key].split()]).to_csv(
            path, index=False
        )
        run.files["tables"][name] = str(path)
    proof = {
        "holds": True,
        "jobs": 142,
        "files": 310,
        "training": {"training_jobs": 6, "selection_jobs": 1, "violations": []},
        "methods": [
            {
                "dataset": dataset,
                "subject": subject,
                "method": method,
                "holds": True,
                "sees": "of the test set, the responses that it decodes",
                "generation_jobs": 1,
                "ancestor_files": 40,
                "training_jobs": 4,
                "selection_jobs": 1,
                "violations": [],
            }
            for dataset, entry in run.cfg["datasets"].items()
            for subject in entry["subjects"]
            for method in run.cfg["methods"]
        ],
        "mixed_readers": {"index_trials": 1, "read_betas": 6},
    }
    run.files["leak_proof"] = str(run.results / "leak_proof.json")
    Path(run.files["leak_proof"]).write_text(json.dumps(proof))
    run.files["provenance"] = str(run.results / "provenance.json")
    versions = {"afterimage": "0.9.9", "numpy": "9.9"}
    record = {"python": "3.11.99", "versions": versions}
    Path(run.files["provenance"]).write_text(json.dumps(record))
