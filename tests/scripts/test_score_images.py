"""score_images on a lab's own data: our shards, other people's folders, absent weights."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from afterimage.errors import InputError
from afterimage.metrics import weights
from afterimage.stores import read_table, write_table
from workflow_scripts.score_images import main

ROOT = Path(__file__).parents[2]
IDENTITY = {"dataset": "lab", "subject": "s1", "method": "best"}
IDS = ["a", "b_1", "c", "d"]


@pytest.fixture
def lab(tmp_path, monkeypatch):
    """Seen pictures of four test images in the custom layout, and a table of trials."""
    generator = np.random.default_rng(0)
    (tmp_path / "images").mkdir()
    for name in [*IDS, "training"]:
        small = generator.integers(0, 256, size=(5, 5, 3), dtype=np.uint8)
        Image.fromarray(small).resize((64, 64)).save(tmp_path / "images" / f"{name}.png")
    trials = pd.DataFrame({"image_id": [*IDS, *IDS, "training"], "split": ["test"] * 8 + ["train"]})
    write_table(tmp_path / "trials.parquet", trials)
    (tmp_path / "small.yaml").write_text(
        "summary: s\nsource: s\nseen: [{resize: 64}]\nreconstruction: [{resize: 64}]\nmetrics:\n"
        "  pcc: {measure: pcc}\n  ssim: {measure: ssim}\n"
        "  lpips_alex: {measure: lpips, network: alexnet}\n"
        "  alexnet2: {measure: identification, network: alexnet, layer: features.4}\n"
        "  clip: {measure: identification, network: clip_vit_l14, layer: embedding}\n"
    )
    return tmp_path


def settings(lab) -> dict:
    dataset = {"format": "custom", "root": str(lab), "subjects": ["s1"], "areas": {}}
    return {"dataset": dataset, "seed": 0, "protocols": [str(lab / "small.yaml")]}


def made(folder, names) -> str:
    folder.mkdir()
    for name, side in names:
        Image.fromarray(np.full((side, side, 3), 90, dtype=np.uint8)).save(folder / f"{name}.png")
    return str(folder)


def test_a_folder_made_elsewhere(lab, capsys):
    folder = made(
        lab / "theirs", [("a", 64), ("b_1_0", 64), ("b_1_1", 64), ("c", 50), ("zebra", 64)]
    )
    main(
        [folder],
        str(lab / "out.parquet"),
        settings(lab),
        {**IDENTITY, "method": "theirs"},
        trials=str(lab / "trials.parquet"),
        out_remarks=str(lab / "remarks.txt"),
    )
    remarks = [
        "missing: no picture for image d",
        "extra: zebra.png is no image of the test set, left out",
        "resized: c.png is 50x50, others 64x64",
    ]
    assert (lab / "remarks.txt").read_text().splitlines() == remarks
    assert all(line in capsys.readouterr().out for line in remarks[:1])
    table = read_table(lab / "out.parquet")
    pcc = table[table["metric"] == "pcc"]
    assert sorted(zip(pcc["image_id"], pcc["sample"], strict=True)) == [
        ("a", 0), ("b_1", 0), ("b_1", 1), ("c", 0)
    ]  # fmt: skip
    assert (pcc["value"] == 0).all()
    assert pcc.set_index("image_id").loc["b_1", "n_samples"].tolist() == [2, 2]
    assert (table["method"] == "theirs").all()
    missing = table[table["reason"] != ""].set_index("metric")["reason"]
    assert set(missing.index) == {"lpips_alex", "alexnet2", "clip"}
    assert missing["clip"] == "no weights of clip_vit_l14 were asked for"


def test_our_own_shards_are_read_by_their_manifests(lab):
    folders = []
    for shard, names in enumerate([IDS[:2], IDS[2:]]):
        folder = lab / f"shard{shard}of2"
        folder.mkdir()
        rows = []
        for name in names:
            picture = Image.open(lab / "images" / f"{name}.png")
            picture.save(folder / f"{name}_0.png")
            rows.append({"image_id": name, "sample": 0, "file": f"{name}_0.png"})
        write_table(folder / "manifest.csv", pd.DataFrame(rows))
        folders.append(str(folder))
    main(folders, str(lab / "out.parquet"), settings(lab), IDENTITY)
    table = read_table(lab / "out.parquet")
    for metric in ("pcc", "ssim"):
        values = table[table["metric"] == metric].set_index("image_id")["value"]
        assert sorted(values.index) == sorted(IDS)
        assert values.to_numpy() == pytest.approx(np.ones(4))


def alexnet_file(path) -> str:
    import torch

    from afterimage.metrics.perceptual import AlexNet

    torch.manual_seed(0)
    tensors = {name: t.numpy() for name, t in AlexNet(classifier=False).state_dict().items()}
    for stage, channels in enumerate((64, 192, 384, 256, 256)):
        tensors[f"lin{stage}.model.1.weight"] = np.full((1, channels, 1, 1), 0.1, dtype=np.float32)
    weights.save(path, tensors, {"network": "alexnet", "source": "test", "reason": ""})
    return str(path)


def test_weights_are_used_where_they_are_and_missed_where_they_are_not(lab):
    paths = [alexnet_file(lab / "alexnet.safetensors"), str(lab / "clip_vit_l14.safetensors")]
    weights.save(paths[1], {}, {"network": "clip_vit_l14", "source": "", "reason": "no source"})
    folder = made(lab / "theirs", [(name, 64) for name in IDS])
    main(
        [folder], str(lab / "out.parquet"), settings(lab), IDENTITY, paths,
        trials=str(lab / "trials.parquet"), execution={"device": "cpu", "batch_size": 3},
    )  # fmt: skip
    table = read_table(lab / "out.parquet")
    found = table.groupby("metric")["value"].mean()
    assert found["lpips_alex"] > 0
    assert found["alexnet2"] == pytest.approx(0.5)
    assert table.set_index("metric").loc["clip", "reason"] == "no source"
    measures = table.groupby("metric")["measure"].first()
    assert measures["alexnet2"] == "identification"


def test_heads_alone_may_be_missing(lab):
    path = alexnet_file(lab / "alexnet.safetensors")
    tensors = {k: v for k, v in weights.read_weights(Path(path)).items() if "lin" not in k}
    weights.save(path, tensors, {"network": "alexnet", "reason": ""})
    folder = made(lab / "theirs", [(name, 64) for name in IDS])
    main([folder], str(lab / "out.parquet"), settings(lab), IDENTITY, path,
         trials=str(lab / "trials.parquet"), execution={"device": "cpu"})  # fmt: skip
    reasons = read_table(lab / "out.parquet").groupby("metric")["reason"].first()
    assert "no LPIPS heads" in reasons["lpips_alex"]
    assert reasons["alexnet2"] == ""


def test_pixel_scores_alone_do_not_import_torch(lab):
    folder = made(lab / "theirs", [(name, 64) for name in IDS])
    code = f"""
import sys
sys.path.insert(0, {str(ROOT)!r})
from workflow_scripts.score_images import main
main([{folder!r}], {str(lab / "o.parquet")!r}, {settings(lab)!r}, {IDENTITY!r},
     trials={str(lab / "trials.parquet")!r})
assert "torch" not in sys.modules
"""
    subprocess.run([sys.executable, "-c", code], check=True)


def test_a_protocol_that_is_not_known(lab):
    folder = made(lab / "theirs", [("a", 64)])
    cfg = {**settings(lab), "protocols": ["reprot"]}
    with pytest.raises(InputError, match="did you mean 'report'"):
        main([folder], str(lab / "out.parquet"), cfg, IDENTITY, trials=str(lab / "trials.parquet"))
