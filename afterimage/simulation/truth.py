"""The truth of a simulated study, written beside its raw files: arrays and JSON, no objects."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from pathlib import Path

import numpy as np

from afterimage.errors import InputError
from afterimage.simulation.brain import Brain
from afterimage.simulation.scenes import Scene, Thing
from afterimage.stores import whole


@dataclass(frozen=True)
class Truth:
    """What was simulated for one subject.

    Attributes
    ----------
    brain : the forward model of the subject's regions
    position : float32, shape (n_voxels, 3), of the brain's voxels as the raw files give them: NSD
        millimetres, THINGS-fMRI voxel numbers
    scenes : image_id -> the scene that its picture shows
    seed : the study's seed
    n_things : things in every scene, None where it varies
    """

    brain: Brain
    position: np.ndarray
    scenes: dict[str, Scene]
    seed: int
    n_things: int | None


def write_truth(path: str | Path, truth: Truth) -> None:
    """Write a truth as an `.npz`; a linear brain's matrix stands in it ready-made, as `B`."""
    brain = {field.name: getattr(truth.brain, field.name) for field in fields(Brain)}
    if truth.brain.kind == "linear":
        brain["B"] = (truth.brain.gain[:, None] * truth.brain.weights).astype(np.float32)
    with whole(path) as temporary, open(temporary, "wb") as stream:
        np.savez_compressed(
            stream,
            **brain,
            position=truth.position.astype(np.float32),
            image_id=np.array(list(truth.scenes)),
            scene=np.array([scene_to_json(scene) for scene in truth.scenes.values()]),
            seed=truth.seed,
            n_things=truth.n_things or 0,
        )


def read_truth(path: str | Path) -> Truth:
    """Read what `write_truth` wrote.

    Raises
    ------
    InputError
        if the file is not there
    """
    if not Path(path).is_file():
        raise InputError(path, "the truth of a simulated study", "nothing", "Simulate it first.")
    with np.load(path, allow_pickle=False) as stored:
        brain: Mapping[str, np.ndarray] = {f.name: stored[f.name] for f in fields(Brain)}
        scenes = map(scene_from_json, stored["scene"].tolist())
        return Truth(
            brain=Brain(**{**brain, "kind": str(brain["kind"])}),  # type: ignore[arg-type]
            position=stored["position"],
            scenes=dict(zip(stored["image_id"].tolist(), scenes, strict=True)),
            seed=int(stored["seed"]),
            n_things=int(stored["n_things"]) or None,
        )


def scene_to_json(scene: Scene) -> str:
    """A scene as one line of JSON."""
    return json.dumps(asdict(scene), sort_keys=True)


def scene_from_json(text: str) -> Scene:
    """The scene that `scene_to_json` wrote."""
    stored = json.loads(text)
    things: Sequence[Thing] = [Thing(**thing) for thing in stored["things"]]
    return Scene(stored["place"], stored["horizon"], tuple(things))


def truth_by_subject(files: Sequence[str], subjects: Sequence[str]) -> dict[str, str]:
    """Each subject's file among those named `<subject>.npz`."""
    by_name = {Path(file).stem: str(file) for file in files}
    for subject in subjects:
        if subject not in by_name:
            raise InputError("truth", f"a file named {subject}.npz", ", ".join(by_name) or "none")
    return {subject: by_name[subject] for subject in subjects}
