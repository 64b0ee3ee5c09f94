"""A simulated study of any size, from the forward model straight to a decoder's arrays.

The brain, the pictures, the captions and the latents are the demo's; only the raw files between
them are left out, so that thousands of trials take a minute.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from afterimage.decoders.interface import Graph, Samples
from afterimage.simulation.brain import Brain, build_brain, flat_features, reference_features
from afterimage.simulation.features import generator
from afterimage.simulation.head import build_head
from afterimage.simulation.optimal import best_linear_decoder
from afterimage.simulation.scenes import sample_scene
from workflow_scripts.estimate_optimal import caption_latents, image_latents

REPEATS = 3
"""Trials of every image: single ones in training, their mean in validation and test, as in NSD."""

HELD_OUT = {"validation": 60, "test": 200}
"""Images that are not trained on."""


@dataclass(frozen=True)
class Study:
    """One target of a simulated subject.

    Attributes
    ----------
    train, validation, test : samples, voxels normalised by all training trials; image by image
    latent : shape of what is predicted for one image
    graph : of the areas that images are decoded from, None for text
    best_linear : (n_test, n_outputs) what the best linear decoder of single trials predicts for
        the test samples
    best_of_means : (n_test, n_outputs) the same of the linear decoder that is best for means of
        `REPEATS` trials, as the test samples are
    """

    train: Samples
    validation: Samples
    test: Samples
    latent: tuple[int, ...]
    graph: Graph | None
    best_linear: np.ndarray
    best_of_means: np.ndarray


def simulate(
    config: Mapping[str, Any], kind: str, n_images: int, n_scenes: int
) -> dict[str, Study]:
    """Simulate one subject of `demo-nsd` who sees more pictures than in the demo.

    Parameters
    ----------
    config : the whole of config.yaml
    kind : of brain, linear or nonlinear
    n_images : to train on, `REPEATS` trials each
    n_scenes : behind the best linear decoders

    Returns
    -------
    target (image, text) -> its study
    """
    seed, dataset = config["seed"], config["datasets"]["demo-nsd"]
    brain = _brain(dataset["simulate"], kind, seed)
    counts = {"train": n_images, **HELD_OUT, "scenes": n_scenes}
    scenes = {
        part: [sample_scene(rng) for _ in range(n)]
        for part, n in counts.items()
        for rng in [generator(seed, "simulated study", part)]
    }
    features = {part: flat_features(drawn) for part, drawn in scenes.items()}
    everything = [scene for drawn in scenes.values() for scene in drawn]
    ends = np.cumsum(list(counts.values()))[:-1]
    cfg = {**config["diffusion"], "dataset": dataset}
    execution = {"device": "cpu", "batch_size": 0}
    latents = {
        "image": image_latents(everything, cfg, execution),
        # The start token's vector is the same for every caption: nobody predicts it.
        "text": caption_latents(everything, seed, cfg, execution)[:, 1:],
    }
    trials = {part: _trials(brain, features[part], part, seed) for part in ("train", *HELD_OUT)}
    studies = {}
    for target, values in latents.items():
        early = target == "image"
        regions = dataset["areas"]["lower" if early else "higher"]["regions"]
        voxels = np.isin(brain.region, list(regions))
        targets = dict(zip(counts, np.split(values.reshape(len(values), -1), ends), strict=True))
        answers, noise_sd = brain.answers(features["scenes"])[:, voxels], brain.noise_sd[voxels]
        best, of_means = (
            best_linear_decoder(answers, noise_sd / np.sqrt(repeats), targets["scenes"])
            .predict(trials["test"][:, voxels])
            .astype(np.float32)
            for repeats in (1, REPEATS)
        )
        samples = _normalised({part: x[:, voxels] for part, x in trials.items()}, targets)
        studies[target] = Study(
            **samples,
            latent=values.shape[1:],
            graph=_graph(dataset["graph"], brain.region[voxels], samples["train"])
            if early
            else None,
            best_linear=best,
            best_of_means=of_means,
        )
    return studies


def _brain(settings: Mapping[str, Any], kind: str, seed: int) -> Brain:
    head = build_head(settings["voxels"], generator(seed, "simulated study", "head"))
    return build_brain(
        kind,
        head,
        reference_features(seed, None),
        settings["ncsnr"],
        settings["signal_share"],
        generator(seed, "simulated study", "brain"),
    )


def _trials(brain: Brain, features: np.ndarray, part: str, seed: int) -> np.ndarray:
    """Responses in percent: single trials, image by image, or their mean over the repeats."""
    rng = generator(seed, "simulated study", "noise", part)
    single = brain.trials(np.repeat(features, REPEATS, axis=0), rng)
    if part == "train":
        return single
    return single.reshape(len(features), REPEATS, -1).mean(axis=1)


def _normalised(
    trials: Mapping[str, np.ndarray], targets: Mapping[str, np.ndarray]
) -> dict[str, Samples]:
    mean, std = trials["train"].mean(axis=0), trials["train"].std(axis=0)
    samples = {}
    for part, x in trials.items():
        image = np.repeat(np.arange(len(targets[part])), len(x) // len(targets[part]))
        samples[part] = Samples((x - mean) / std, image, targets[part])
    return samples


def _graph(settings: Mapping[str, Any], region: np.ndarray, train: Samples) -> Graph:
    from afterimage.graphs import assign_nodes, build_graph, node_means

    node_of_voxel = assign_nodes(settings["nodes"], region)
    built = build_graph(
        settings["nodes"],
        node_of_voxel,
        node_means(train.x, node_of_voxel),
        settings["threshold"],
        settings["direction"],
    )
    return Graph(built.node_of_voxel, built.edge_index, built.edge_weight)
