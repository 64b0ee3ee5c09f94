"""The page from files: whole, from nothing, and the same bytes twice."""

import hashlib
import re
import sys
from pathlib import Path

import pandas as pd
import pytest

from afterimage.errors import InputError
from tests.made_run import make_run
from workflow_scripts.render_report import main


@pytest.fixture
def run(tmp_path, monkeypatch):
    made = make_run(
        tmp_path, n_images=5, n_samples=2, methods=("best", "shuffled", "oracle"), size=48
    )
    monkeypatch.setattr("afterimage.datasets.open_dataset", made.open_dataset)
    return made


def digest(folder: Path) -> dict[str, str]:
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    return {
        str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in files
    }


def test_the_page_holds_every_section_and_repeats_to_the_byte(run):
    main(**run.arguments)
    first = {name: digest(run.results / name) for name in ("report", "figures")}
    text = run.out.read_text(encoding="utf-8")
    main(**run.arguments)
    assert {name: digest(run.results / name) for name in ("report", "figures")} == first

    assert text.count("Simulated data") > 5
    assert "Leak proof passed." in text
    verdict = " ".join(text.partition("Leak proof passed.</strong>")[2].split())
    assert verdict.startswith(
        "No training or selection job can see the test set; generation sees only the responses "
        "that it decodes (and, for the oracle, the true latents)."
    )
    assert 'class="missing"' not in text.replace('<noscript><p class="missing">', "")
    for question in (
        "better than chance",
        "images fail",
        "test set used",
        "perfect decoder",
        "retrieving",
    ):
        assert question in text
    # opened from disk, without a network: nothing is loaded from elsewhere
    assert not re.search(r"""(src|href)=["'](https?:)?//""", text)
    # each id once, or links would lead astray
    ids = re.findall(r'\bid="([^"]+)"', re.sub(r"<script.*?</script>", "", text, flags=re.S))
    assert len(ids) == len(set(ids))
    for target in re.findall(r'href="#([a-z][a-z-]*)"', text):
        assert target in ids
    names = {path.name for path in (run.results / "figures").iterdir()}
    for name in ("metrics", "comparisons-methods", "training", "graph", "voxels", "noise-ceiling"):
        assert {f"demo-nsd-subj01-{name}.svg", f"demo-nsd-subj01-{name}.png"} <= names
    # which network `best` is, how it was chosen, on what it ran, and from what it was made
    assert "<td>image: GCN, text: Linear</td>" in text
    assert "<td>12 images</td>" in text
    assert '<td class="words"><span class="value">NVIDIA Test, float16</span></td>' in text
    assert "<span>afterimage <b>0.9.9</b></span>" in text
    assert "<span>Python <b>3.11.99</b></span>" in text
    assert '<a href="../provenance.json">' in text
    assert "0.6" in (run.results / "tables" / "headline.md").read_text()


def test_what_an_earlier_page_drew_of_other_datasets_goes(tmp_path, monkeypatch):
    subjects = {"demo-nsd": ["subj01"], "demo-things": ["sub-01"]}
    made = make_run(
        tmp_path, n_images=4, n_samples=1, methods=("best",), subjects=subjects, size=48
    )
    monkeypatch.setattr("afterimage.datasets.open_dataset", made.open_dataset)
    main(**made.arguments)
    figures, tables = made.results / "figures", made.results / "tables"
    assert list(figures.glob("demo-things*"))
    (tables / "of_the_user.md").write_text("kept")
    # then without one dataset and without one protocol
    del made.cfg["datasets"]["demo-things"]
    for name, paths in made.files.items():
        if isinstance(paths, list):
            made.files[name] = [path for path in paths if "demo-things" not in path]
    for path in made.files["tables"].values():
        table = pd.read_csv(path)
        table = table[table["dataset"] == "demo-nsd"]
        if "protocol" in table:
            table = table[table["protocol"] == "report"]
        table.to_csv(path, index=False)
    main(**made.arguments)
    assert not list(figures.glob("demo-things*"))
    assert list(figures.glob("demo-nsd*"))
    assert sorted(path.name for path in tables.glob("*.md")) == [
        "headline.md",
        "images-report.md",
        "latent-image.md",
        "latent-text.md",
        "of_the_user.md",
    ]
    assert len(list(tables.glob("*.csv"))) == 4


def test_an_empty_run_still_has_a_page_that_says_what_is_missing(tmp_path):
    cfg = {
        "title": "Nothing yet",
        "seed": 0,
        "datasets": {
            "lab": {"subjects": ["a"], "simulated": False, "settings": {"format": "custom"}}
        },
    }
    out = tmp_path / "results" / "report" / "index.html"
    main({}, str(out), cfg, str(tmp_path / "results"))
    text = out.read_text(encoding="utf-8")
    assert text.count("Nothing to show here") == 9
    assert text.count("This run does not tell:") == 5
    assert "Leak proof not run." in text
    assert "Simulated data" not in text
    assert "measured" in text


def test_a_failed_proof_cannot_be_overlooked(run):
    path = Path(run.files["leak_proof"])
    leak = '{"job": "train_decoder(x)", "path": ["a/test.zarr", "b"], "reason": "test latents"}'
    text = path.read_text().replace('"holds": true', '"holds": false', 1)
    path.write_text(text.replace('"violations": []', f'"violations": [{leak}]', 1))
    main(**{**run.arguments, "reconstructions": []})
    text = run.out.read_text(encoding="utf-8")
    assert "Leak proof FAILED." in text
    assert "YES: the leak proof failed." in text
    assert "train_decoder(x): a/test.zarr → b (test latents)" in text


def test_text_from_data_cannot_become_markup(run):
    table = pd.read_csv(run.files["tables"]["image_metrics"])
    table.loc[table["value"].isna(), "reason"] = "<script>alert(1)</script>"
    table.to_csv(run.files["tables"]["image_metrics"], index=False)
    dataset = run.datasets["demo-nsd"]
    for image_id in dataset.texts:
        dataset.texts[image_id] = ["</script><img src=x onerror=alert(1)>"]
    main(**run.arguments)
    text = run.out.read_text(encoding="utf-8")
    assert "<script>alert" not in text
    assert "<img src=x" not in text


def test_a_shard_without_manifest_is_named(run):
    shard = Path(run.files["reconstructions"][0])
    (shard / "manifest.csv").unlink()
    with pytest.raises(InputError, match=r"manifest\.csv"):
        main(**run.arguments)


def test_the_page_needs_no_torch(tmp_path):
    import subprocess

    code = (
        "import sys; sys.path.insert(0, '.');"
        "from workflow_scripts.render_report import main;"
        f"main({{}}, r'{tmp_path}/results/report/index.html',"
        "{'title': 't', 'seed': 0, 'datasets': {}}, "
        f"r'{tmp_path}/results'); assert 'torch' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True, timeout=120)
