"""The leak proof on hand-made graphs: it holds where it should and names each planted leak."""

import pytest

from afterimage.provenance import Job, leak_proof
from afterimage.provenance.leaks import HOLE, lines

RAW = "results/demo/nsd/raw"
ME = "results/nsd/subj01"
SPLITS = ("train", "validation", "test")


def study(subject: str = "subj01") -> dict[str, Job]:
    """All jobs of one subject, two methods and the oracle, as the workflow joins them."""
    here = f"results/nsd/{subject}"
    who = {"dataset": "nsd", "subject": subject}
    trials = f"{here}/trials.parquet"
    jobs = {
        "simulate": Job("simulate_nsd", {"dataset": "nsd"}, [], [RAW, "results/demo/nsd/truth"]),
        "index": Job("index_trials", who, [RAW], [trials]),
    }
    for split in SPLITS:
        wildcards = {**who, "split": split}
        part = f"{here}/betas/{split}/session01.zarr"
        fitted = [] if split == "train" else [f"{here}/responses/lower/train.zarr"]
        jobs[f"read-{split}"] = Job("read_betas", wildcards, [RAW, trials], [part])
        jobs[f"extract-{split}"] = Job(
            "extract_responses",
            wildcards,
            [trials, part, *fitted],
            [f"{here}/responses/lower/{split}.zarr"],
        )
        jobs[f"encode-{split}"] = Job(
            "encode_images", wildcards, [RAW, trials], [f"{here}/latents/image/{split}.zarr"]
        )
    jobs["graph"] = Job(
        "build_graph", who, [f"{here}/responses/lower/train.zarr"], [f"{here}/graph.zarr"]
    )
    decoder = f"{here}/decoders/image-gcn"
    jobs["train"] = Job(
        "train_decoder",
        {**who, "target": "image", "decoder": "gcn"},
        [
            *[f"{here}/responses/lower/{split}.zarr" for split in ("train", "validation")],
            *[f"{here}/latents/image/{split}.zarr" for split in ("train", "validation")],
            f"{here}/graph.zarr",
        ],
        [f"{decoder}/model.safetensors", f"{decoder}/model.json"],
    )
    predictions = [f"{here}/predictions/image-gcn.{split}.zarr" for split in SPLITS]
    jobs["predict"] = Job(
        "predict_latents",
        {**who, "target": "image", "decoder": "gcn"},
        [f"{decoder}/model.safetensors", *[f"{here}/responses/lower/{s}.zarr" for s in SPLITS]],
        predictions,
    )
    jobs["select"] = Job(
        "select_decoder", who, [f"{decoder}/model.json"], [f"{here}/selected.json"]
    )
    sources = {
        "best": [predictions[2], f"{here}/selected.json"],
        "mean": [f"{here}/latents/image/train.zarr"],
        "oracle": [f"{here}/latents/image/test.zarr"],
    }
    for method, files in sources.items():
        wildcards = {**who, "method": method}
        pictures = f"{here}/reconstructions/{method}/shard1of1"
        jobs[f"compose-{method}"] = Job(
            "compose_method",
            wildcards,
            [*files, f"{here}/responses/lower/test.zarr"],
            [f"{here}/methods/{method}/z.zarr"],
        )
        jobs[f"reconstruct-{method}"] = Job(
            "reconstruct_images", wildcards, [f"{here}/methods/{method}/z.zarr"], [pictures]
        )
        jobs[f"score-{method}"] = Job(
            "score_images", wildcards, [pictures, RAW], [f"{here}/scores/images-{method}.parquet"]
        )
    jobs["score-latents"] = Job(
        "score_latents",
        {**who, "split": "test"},
        [predictions[2], f"{here}/latents/image/test.zarr"],
        [f"{here}/scores/latents-image-gcn.test.parquet"],
    )
    return jobs


def with_input(jobs: dict[str, Job], name: str, path: str) -> dict[str, Job]:
    job = jobs[name]
    changed = Job(job.rule, job.wildcards, [*job.inputs, path], job.outputs)
    return {**jobs, name: changed}


def prove(jobs: dict[str, Job]) -> dict:
    return leak_proof(list(jobs.values()))


def of_method(proof: dict, method: str) -> dict:
    return next(entry for entry in proof["methods"] if entry["method"] == method)


def test_the_workflow_as_designed_holds_with_its_evidence():
    proof = prove(study())
    assert proof["holds"]
    assert proof["jobs"] == len(study())
    assert proof["training"] == {"training_jobs": 2, "selection_jobs": 1, "violations": []}
    assert [entry["method"] for entry in proof["methods"]] == ["best", "mean", "oracle"]
    best = of_method(proof, "best")
    assert best["generation_jobs"] == 1
    assert best["training_jobs"] == 2
    assert best["selection_jobs"] == 1
    assert best["test_files"] == {"responses": 2, "predictions": 1, "latents": 0, "all": 3}
    assert best["mixed_sources"] == 2
    assert best["sees"] == "of the test set, the responses that it decodes"
    oracle = of_method(proof, "oracle")
    assert oracle["holds"]
    assert oracle["test_files"]["latents"] == 1
    assert oracle["sees"] == "the true test latents, by design"
    assert proof["mixed_readers"] == {
        "encode_images": 3, "extract_responses": 3, "index_trials": 1, "read_betas": 3
    }  # fmt: skip
    assert len(lines(proof)) == 3
    assert lines(proof)[0].startswith("nsd subj01 best: holds")


@pytest.mark.parametrize(
    ("job", "path"),
    [
        ("train", f"{ME}/latents/image/test.zarr"),
        ("train", f"{ME}/responses/lower/test.zarr"),
        ("train", f"{ME}/betas/test/session01.zarr"),
        ("train", f"{ME}/reconstructions/best/shard1of1/2950_0.png"),
        ("graph", f"{ME}/responses/lower/test.zarr"),
        ("select", f"{ME}/scores/latents-image-gcn.test.parquet"),
        ("select", f"{ME}/scores/images-best.parquet"),
        ("select", f"{ME}/predictions/image-gcn.test.zarr"),
    ],
)
def test_training_and_selection_may_see_nothing_of_the_test_set(job, path):
    jobs = study()
    if "reconstructions" in path:  # pictures of another study, or the graph would have a cycle
        pictures = f"{ME}/reconstructions/best/shard1of1"
        jobs["reconstruct-best"] = Job("reconstruct_images", {}, ["raw.h5"], [pictures])
    proof = prove(with_input(jobs, job, path))
    assert not proof["holds"]
    violations = proof["training"]["violations"]
    assert any(leak["file"] == path and leak["path"][0] == path for leak in violations)
    assert all(leak["reason"] == "belongs to the test set" for leak in violations)
    if "reconstructions" not in path:
        assert not of_method(proof, "best")["holds"]
    assert any(path in line and line.startswith("leak into") for line in lines(proof))


def test_the_path_leads_through_every_file_in_between():
    """Training responses that were made with the test responses taint the decoder two jobs on."""
    path = f"{ME}/betas/test/session01.zarr"
    proof = prove(with_input(study(), "extract-train", path))
    leak = next(
        leak for leak in proof["training"]["violations"] if leak["job"].startswith("build_graph")
    )
    assert leak["path"] == [path, f"{ME}/responses/lower/train.zarr", f"{ME}/graph.zarr"]
    assert leak["job"] == "build_graph(dataset=nsd, subject=subj01)"
    said = [line for line in lines(proof) if line.startswith("leak into build_graph")]
    assert said == [
        f"leak into {leak['job']}: {' -> '.join(leak['path'])} (belongs to the test set)"
    ]


@pytest.mark.parametrize(
    ("path", "reason"),
    [
        (f"{ME}/latents/image/test.zarr", "belongs to the test set"),
        (f"{ME}/scores/latents-image-gcn.test.parquet", "belongs to the test set"),
        (f"{ME}/scores/images-oracle.parquet", "belongs to the test set"),
        (f"{ME}/reconstructions/oracle/shard1of1", "belongs to the test set"),
        ("results/nsd/subj02/responses/lower/test.zarr", "test material of another subject"),
        ("results/demo/nsd/truth/subj01.npz", "the truth behind simulated data"),
    ],
)
def test_generation_may_see_only_the_responses_that_it_decodes(path, reason):
    jobs = with_input({**study("subj02"), **study()}, "reconstruct-best", path)
    jobs |= {f"{name} of another": job for name, job in study("subj02").items()}
    proof = prove(jobs)
    assert not proof["holds"]
    best = next(
        entry
        for entry in proof["methods"]
        if (entry["subject"], entry["method"]) == ("subj01", "best")
    )
    assert best["violations"][0]["file"] == path
    assert best["violations"][0]["reason"] == reason
    assert best["violations"][0]["path"] == [path, f"{ME}/reconstructions/best/shard1of1"]
    assert all(entry["holds"] for entry in proof["methods"] if entry is not best)


def test_the_oracle_may_see_true_latents_and_no_more():
    score = f"{ME}/scores/latents-image-gcn.test.parquet"
    proof = prove(with_input(study(), "compose-oracle", score))
    assert not of_method(proof, "oracle")["holds"]
    renamed = {
        name: Job(job.rule, {**job.wildcards, "method": "linear"}, job.inputs, job.outputs)
        if name.endswith("-oracle")
        else job
        for name, job in study().items()
    }
    assert not of_method(prove(renamed), "linear")["holds"]


@pytest.mark.parametrize("missing", ["train", "encode-train", "extract-test", "select", "predict"])
def test_a_graph_with_a_hole_proves_nothing(missing):
    jobs = study()
    del jobs[missing]
    proof = prove(jobs)
    assert not proof["holds"]
    reasons = {leak["reason"] for entry in proof["methods"] for leak in entry["violations"]}
    assert reasons == {HOLE}


@pytest.mark.parametrize("name", ["train", "encode-train", "compose-best", "reconstruct-best"])
def test_a_job_whose_inputs_are_not_listed_proves_nothing(name):
    job = study()[name]
    proof = prove({**study(), name: Job(job.rule, job.wildcards, [], job.outputs)})
    assert not of_method(proof, "best")["holds"]
    assert of_method(proof, "best")["violations"][0]["reason"] == HOLE


def test_raw_files_of_any_place_are_mixed_sources_and_no_hole():
    jobs = {
        name: Job(job.rule, job.wildcards, [p for p in job.inputs if p != RAW], job.outputs)
        for name, job in study().items()
    }
    assert prove(jobs)["holds"]
    jobs["index"] = Job("index_trials", {}, ["/data/nsd/design.mat"], jobs["index"].outputs)
    assert prove(jobs)["holds"]


def test_files_from_outside_the_results_are_no_hole_whatever_their_folder_is_called():
    model = "/home/me/scores/resources/demo_diffusion/unet/diffusion_pytorch_model.safetensors"
    assert prove(with_input(study(), "reconstruct-best", model))["holds"]


@pytest.mark.parametrize(
    ("path", "reason"),
    [
        (f"{ME}/predictions/image-gcn/seed1.test.zarr", "belongs to the test set"),
        (f"{ME}/scores/images-best/seed1.parquet", "belongs to the test set"),
    ],
)
def test_what_a_further_seed_makes_of_the_test_set_belongs_to_it(path, reason):
    jobs = with_input(study(), "select", path)
    jobs["seed"] = Job("some_rule", {}, [RAW], [path])
    violation = prove(jobs)["training"]["violations"][0]
    assert (violation["file"], violation["reason"]) == (path, reason)


def test_files_in_a_folder_that_a_job_makes_come_from_that_job():
    jobs = with_input(study(), "graph", f"{ME}/reconstructions/mean/shard1of1/manifest.csv")
    violations = prove(jobs)["training"]["violations"]
    assert violations[0]["reason"] == "belongs to the test set"


def test_each_subject_is_proved_alone():
    both = {**{f"1{k}": v for k, v in study("subj01").items()},
            **{f"2{k}": v for k, v in study("subj02").items()}}  # fmt: skip
    leaky = with_input(both, "2train", "results/nsd/subj02/latents/image/test.zarr")
    proof = prove(leaky)
    holds = {(e["subject"], e["method"]): e["holds"] for e in proof["methods"]}
    assert holds[("subj01", "best")]
    assert not holds[("subj02", "best")]
    assert holds[("subj02", "mean")]


@pytest.mark.parametrize("job", ["graph", "train", "select", "compose-best", "reconstruct-best"])
@pytest.mark.parametrize("path", [RAW, f"{ME}/trials.parquet"])
def test_only_the_rules_that_tests_poison_may_read_files_of_every_split(job, path):
    proof = prove(with_input(study(), job, path))
    assert not proof["holds"]
    assert not of_method(proof, "best")["holds"]
    leak = of_method(proof, "best")["violations"][0]
    rule, output = study()[job].rule, study()[job].outputs[0]
    assert (leak["file"], leak["path"][0]) == (path, path)
    assert f"of rule {rule} no test" in leak["reason"]
    assert output.rpartition("/")[0] in "".join(leak["path"])
    assert of_method(proof, "mean")["holds"]


@pytest.mark.parametrize("job", ["train", "select", "reconstruct-best"])
@pytest.mark.parametrize("path", ["results/tables", "results/tables/image_metrics.csv", ME])
def test_what_no_job_makes_below_the_results_is_a_hole(job, path):
    """A folder above outputs holds test material too, and no job makes the folder."""
    proof = prove(with_input(study(), job, path))
    leaks = of_method(proof, "best")["violations"]
    assert [path, HOLE] in [[leak["file"], leak["reason"]] for leak in leaks]
