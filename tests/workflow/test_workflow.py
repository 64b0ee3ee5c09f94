"""The whole workflow on the small configuration, from raw files to tables and a page."""

import json
import shutil
import subprocess
from hashlib import sha256
from pathlib import Path
from zipfile import ZipFile

import pandas as pd
import pytest
import yaml
from PIL import Image

ROOT = Path(__file__).parents[2]

pytestmark = pytest.mark.workflow


@pytest.fixture(scope="module")
def finished(snakemake, tmp_path_factory):
    """Results of one run, in a folder of its own: another working directory."""
    folder = tmp_path_factory.mktemp("run")
    done = run(snakemake, folder)
    assert done.returncode == 0, done.stderr[-5000:]
    return folder


def run(snakemake: str, folder: Path, *arguments: str) -> subprocess.CompletedProcess:
    command = [snakemake, "--snakefile", str(ROOT / "Snakefile"), "--cores", "2"]
    command += ["--configfile", str(ROOT / "config/test.yaml"), *arguments]
    return subprocess.run(command, capture_output=True, text=True, cwd=folder)


def test_the_tables_hold_every_decoder_split_and_method(finished):
    latents = pd.read_csv(finished / "results/tables/latent_mse.csv")
    columns = "dataset subject target decoder split score value low high n".split()
    assert latents.columns[: len(columns)].tolist() == columns
    share = latents[latents.score == "share_of_optimal"]
    assert len(share) == 2 * 3
    assert set(share.split) == {"test"}
    mse = latents[latents.score == "mse"]
    assert len(mse) == 2 * 3 * 3
    assert (mse.low <= mse.value).all()
    assert (mse.value <= mse.high).all()
    images = pd.read_csv(finished / "results/tables/image_metrics.csv")
    columns = "dataset subject method protocol metric value low high n_images n_samples".split()
    assert images.columns[: len(columns)].tolist() == columns
    assert set(images.method) >= {"best", "shuffled", "oracle"}
    pcc = images[(images.metric == "pcc") & images.method.isin(["best", "oracle"])]
    assert pcc.value.notna().all()
    missing = images[images.value.isna()]
    assert (missing.reason.str.len() > 0).all()


def test_the_page_is_there(finished):
    page = (finished / "results/report/index.html").read_text()
    assert "simulated" in page.lower()


def test_nothing_leaked(finished):
    proof = json.loads((finished / "results/leak_proof.json").read_text())
    assert proof["holds"] is True


def test_every_job_has_a_log_and_a_timing(finished):
    jobs = json.loads((finished / "results/jobs.json").read_text())
    rules = {job["rule"] for job in jobs}
    assert len(rules) >= 15
    for rule in rules:
        assert list((finished / "results/logs" / rule).glob("*.log")), rule
        assert list((finished / "results/benchmarks" / rule).glob("*.tsv")), rule


def test_every_row_of_the_tables_is_traced_to_its_file_rule_and_code(finished):
    record = json.loads((finished / "results/provenance.json").read_text())
    jobs = json.loads((finished / "results/jobs.json").read_text())
    maker = {path: job["rule"] for job in jobs for path in job["outputs"]}
    for table in ("latent_mse.csv", "image_metrics.csv"):
        for row in pd.read_csv(finished / "results/tables" / table).to_dict("records"):
            own = f"{table} {row.get('method')}"
            pattern = record["rows"].get(own, record["rows"][table])
            files = list(finished.glob(pattern.format(**row)))
            assert files
            for file in files:
                path = str(file.relative_to(finished))
                assert record["made"][path] == sha256(file.read_bytes()).hexdigest()
                assert len(record["code"][maker[path]]) == 16


def test_snakemakes_own_report_holds_the_final_items(finished, snakemake):
    done = run(snakemake, finished, "--report", "report.zip")
    assert done.returncode == 0, done.stderr[-3000:]
    with ZipFile(finished / "report.zip") as archive:
        names = {Path(name).name for name in archive.namelist()}
    assert {"latent_mse.csv", "image_metrics.csv", "leak_proof.json"} <= names
    assert "demo-nsd-subj01-grid.png" in names
    assert len([name for name in names if name.endswith((".csv", ".json", ".png"))]) < 15


def test_a_second_run_has_nothing_to_do(finished, snakemake):
    done = run(snakemake, finished, "-n")
    assert "Nothing to be done" in done.stdout + done.stderr


def test_three_shards_give_the_table_of_one(finished, snakemake, tmp_path):
    """To a thousandth of every interval's half-width: other batches, other rounding."""
    shutil.copytree(finished, tmp_path / "run", symlinks=True)
    (tmp_path / "overlay.yaml").write_text("datasets: {demo-nsd: {shards: 3}}\n")
    scores = "results/demo-nsd/subj01/scores/images-best.parquet"
    done = run(snakemake, tmp_path / "run", str(tmp_path / "overlay.yaml"), "--", scores)
    assert done.returncode == 0, done.stderr[-5000:]
    made = sorted((tmp_path / "run/results/demo-nsd/subj01/reconstructions/best").iterdir())
    assert {folder.name for folder in made} >= {"shard1of3", "shard2of3", "shard3of3"}
    one, three = (pd.read_parquet(place / scores) for place in (finished, tmp_path / "run"))
    keys = ["protocol", "metric"]
    means = [table.dropna(subset="value").groupby(keys).value.mean() for table in (one, three)]
    table = pd.read_csv(finished / "results/tables/image_metrics.csv")
    table = table.query("dataset == 'demo-nsd' and method == 'best'").set_index(keys)
    half_width = ((table.high - table.low) / 2)[means[0].index]
    assert len(half_width) >= 5
    assert ((means[0] - means[1]).abs() <= half_width / 1000).all()


@pytest.fixture(scope="module")
def compared(finished, snakemake, tmp_path_factory):
    """The same run with a folder of pictures from elsewhere: best's, and some that do not fit."""
    theirs = tmp_path_factory.mktemp("theirs")
    best = finished / "results/demo-nsd/subj01/reconstructions/best/shard1of1"
    listed = pd.read_csv(best / "manifest.csv", dtype=str).sort_values("image_id")
    ids = listed.image_id.tolist()
    for image_id, file in zip(ids[1:], listed.file[1:], strict=True):
        shutil.copy(best / file, theirs / f"{image_id}.png")
    with Image.open(theirs / f"{ids[-1]}.png") as picture:
        picture.resize((64, 48)).save(theirs / f"{ids[-1]}.png")
    shutil.copy(best / listed.file.iloc[0], theirs / "no_such_image.png")
    overlay = {
        "run": {"methods": ["best", "shuffled", "oracle", "their_method"]},
        "external": {"their_method": {"demo-nsd": {"subj01": str(theirs)}}},
    }
    (finished / "overlay.yaml").write_text(yaml.safe_dump(overlay))
    files = ["--configfile", str(ROOT / "config/test.yaml"), str(finished / "overlay.yaml")]
    command = [snakemake, "--snakefile", str(ROOT / "Snakefile"), "--cores", "2", *files]
    done = subprocess.run(command, capture_output=True, text=True, cwd=finished)
    assert done.returncode == 0, done.stderr[-5000:]
    return finished, ids, done.stdout + done.stderr


def test_pictures_from_elsewhere_need_no_decoders(compared, snakemake, tmp_path):
    folder = compared[0]
    overlay = yaml.safe_load((folder / "overlay.yaml").read_text())
    overlay["run"] = {
        "datasets": ["demo-nsd"],
        "decoders": {"image": [], "text": []},
        "methods": ["their_method"],
    }
    (tmp_path / "overlay.yaml").write_text(yaml.safe_dump(overlay))
    files = ["--configfile", str(ROOT / "config/test.yaml"), str(tmp_path / "overlay.yaml")]
    command = [snakemake, "--snakefile", str(ROOT / "Snakefile"), "--cores", "2", *files]
    done = subprocess.run(command, capture_output=True, text=True, cwd=tmp_path)
    assert done.returncode == 0, done.stderr[-5000:]
    assert "encode_images" not in done.stdout + done.stderr
    tables = [
        pd.read_csv(place / "results/tables/image_metrics.csv").query("method == 'their_method'")
        for place in (folder, tmp_path)
    ]
    assert len(tables[0]) > 0
    pd.testing.assert_frame_equal(*(table.reset_index(drop=True) for table in tables))


def test_pictures_from_elsewhere_are_scored_like_ours(compared):
    folder, ids, said = compared
    scores = {
        method: pd.read_parquet(folder / f"results/demo-nsd/subj01/scores/images-{method}.parquet")
        for method in ("best", "their_method")
    }
    same = ids[1:-1]
    values = {
        method: table[(table.metric == "lpips_alex") & table.image_id.isin(same)]
        .sort_values("image_id")
        .value.to_numpy()
        for method, table in scores.items()
    }
    assert len(values["best"]) == len(same)
    assert values["their_method"] == pytest.approx(values["best"], rel=1e-6)
    images = pd.read_csv(folder / "results/tables/image_metrics.csv")
    theirs = images.query("method == 'their_method' and protocol == 'report' and metric == 'pcc'")
    assert theirs.dataset.tolist() == ["demo-nsd"]
    assert theirs.n_images.tolist() == [len(ids) - 1]
    paired = pd.read_csv(folder / "results/tables/comparisons.csv")
    assert "their_method" in set(paired.method) | set(paired.reference)
    assert "their method" in (folder / "results/report/index.html").read_text()
    assert "reconstruct_images" not in said
    assert "train_decoder" not in said


def test_what_is_missing_extra_or_of_another_size_is_named(compared):
    folder, ids, _ = compared
    remarks = folder / "results/demo-nsd/subj01/scores/images-their_method.remarks.txt"
    lines = remarks.read_text().splitlines()
    assert lines[0] == f"missing: no picture for image {ids[0]}"
    assert lines[1] == "extra: no_such_image.png is no image of the test set, left out"
    assert lines[2].startswith(f"resized: {ids[-1]}.png is 64x48")
    proof = json.loads((folder / "results/leak_proof.json").read_text())
    assert proof["elsewhere"] == ["their_method"]
    assert "their_method" not in {entry["method"] for entry in proof["methods"]}


def test_a_ceiling_from_the_repeats_is_above_what_was_reached(finished):
    latents = pd.read_csv(finished / "results/tables/latent_mse.csv")
    keys = ["dataset", "target", "decoder"]
    test = latents[(latents.split == "test")].set_index(keys)
    ridge = test.xs("linear", level="decoder", drop_level=False)
    r = ridge[ridge.score == "r"].value
    ceiling = ridge[ridge.score == "r_ceiling"].value
    assert len(ceiling) == 4
    assert (ceiling[r.index] > 0).all()
    assert (ceiling <= 1).all()


def test_concepts_are_held_out(snakemake, tmp_path):
    split = {"scheme": "concept_holdout", "validation_fraction": 0.2, "folds": 3, "fold": 2}
    overlay = {
        "run": {"datasets": ["demo-things"], "methods": ["best", "oracle"]},
        "datasets": {"demo-things": {"split": split}},
    }
    (tmp_path / "overlay.yaml").write_text(yaml.safe_dump(overlay))
    files = ["--configfile", str(ROOT / "config/test.yaml"), str(tmp_path / "overlay.yaml")]
    command = [snakemake, "--snakefile", str(ROOT / "Snakefile"), "--cores", "2", *files]
    done = subprocess.run(command, capture_output=True, text=True, cwd=tmp_path)
    assert done.returncode == 0, done.stderr[-5000:]
    trials = pd.read_parquet(tmp_path / "results/demo-things/sub-01/trials.parquet")
    concept = trials.image_id.str.rsplit("_", n=1).str[0]
    concepts = {split: set(concept[trials.split == split]) for split in trials.split.unique()}
    assert len(concepts["test"]) == 2
    assert not concepts["test"] & (concepts["train"] | concepts["validation"])
    held_out = trials[concept.isin(concepts["test"]) & (trials.split != "test")]
    assert set(held_out.split) == {"excluded"}
    n_images = trials.groupby("split").image_id.nunique()
    tables = {
        name: pd.read_csv(tmp_path / f"results/tables/{name}.csv")
        for name in ("latent_mse", "latent_comparisons", "image_metrics", "comparisons")
    }
    for table in tables.values():
        assert set(table.split_scheme) == {"concept_holdout, fold 2 of 3"}
        assert set(table.n_train) == {n_images["train"]}
        assert set(table.n_excluded) == {n_images["excluded"]}
    latents = tables["latent_mse"]
    assert (latents[(latents.split == "test") & (latents.score == "mse")].n == 2).all()
    pcc = tables["image_metrics"].query("method == 'best' and metric == 'pcc'")
    assert (pcc.n_images == 2).all()
    assert pcc.value.notna().all()
    pairs = tables["comparisons"]
    assert set(zip(pairs.method, pairs.reference, strict=True)) == {("best", "oracle")}
