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
    assert "0.6" in (run.results / "tables" / "headline.md").read_text()


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
