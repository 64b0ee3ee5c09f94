"""Decoders: trained on training responses, stopped and chosen on validation images."""


rule train_decoder:
    """Fit one decoder of one target; validation images decide when it stops."""
    input:
        responses_train=responses_for("train"),
        responses_validation=responses_for("validation"),
        latents_train="results/{dataset}/{subject}/latents/{target}/train.zarr",
        latents_validation="results/{dataset}/{subject}/latents/{target}/validation.zarr",
        graph=graph_for,
    output:
        weights="results/{dataset}/{subject}/decoders/{target}-{decoder}/model.safetensors",
        model="results/{dataset}/{subject}/decoders/{target}-{decoder}/model.json",
        history="results/{dataset}/{subject}/decoders/{target}-{decoder}/history.csv",
    log:
        "results/logs/train_decoder/{dataset}-{subject}-{target}-{decoder}.log",
    benchmark:
        "results/benchmarks/train_decoder/{dataset}-{subject}-{target}-{decoder}.tsv"
    conda:
        "../envs/torch.yaml"
    threads: config["execution"]["threads"]
    resources:
        gpu=gpus,
        mem_mb=memory(3000, per_input=6),
        runtime=minutes(60, per_gigabyte=120),
    params:
        cfg=training_settings,
        code=code_of("train_decoder.py", kind_of),
        execution=execution,
        out="results/{dataset}/{subject}/decoders/{target}-{decoder}",
        state=training_state,
    script:
        "../workflow_scripts/train_decoder.py"


rule predict_latents:
    """Predict every image's latents with one decoder, and from halves of the test repeats."""
    input:
        trials="results/{dataset}/{subject}/trials.parquet",
        betas=split_betas("test"),
        model="results/{dataset}/{subject}/decoders/{target}-{decoder}/model.json",
        weights="results/{dataset}/{subject}/decoders/{target}-{decoder}/model.safetensors",
        responses_train=responses_for("train"),
        responses_validation=responses_for("validation"),
        responses_test=responses_for("test"),
    output:
        train=directory(
            "results/{dataset}/{subject}/predictions/{target}-{decoder}.train.zarr"
        ),
        validation=directory(
            "results/{dataset}/{subject}/predictions/{target}-{decoder}.validation.zarr"
        ),
        test=directory(
            "results/{dataset}/{subject}/predictions/{target}-{decoder}.test.zarr"
        ),
        first=directory(
            "results/{dataset}/{subject}/predictions/{target}-{decoder}-first.test.zarr"
        ),
        second=directory(
            "results/{dataset}/{subject}/predictions/{target}-{decoder}-second.test.zarr"
        ),
    log:
        "results/logs/predict_latents/{dataset}-{subject}-{target}-{decoder}.log",
    benchmark:
        "results/benchmarks/predict_latents/{dataset}-{subject}-{target}-{decoder}.tsv"
    conda:
        "../envs/torch.yaml"
    threads: config["execution"]["threads"]
    resources:
        gpu=gpus,
        mem_mb=memory(2500, per_input=3),
        runtime=minutes(30, per_gigabyte=15),
    params:
        code=code_of("predict_latents.py", kind_of),
        execution=execution,
        decoder=lambda wildcards, input: str(Path(input.model).parent),
        area=input_area,
    script:
        "../workflow_scripts/predict_latents.py"


rule select_decoder:
    """Choose, for each target, the candidate with the lowest validation error."""
    input:
        candidate_model_files,
    output:
        "results/{dataset}/{subject}/selected.json",
    log:
        "results/logs/select_decoder/{dataset}-{subject}.log",
    benchmark:
        "results/benchmarks/select_decoder/{dataset}-{subject}.tsv"
    conda:
        "../envs/analysis.yaml"
    resources:
        mem_mb=memory(500),
        runtime=minutes(5),
    params:
        models=candidate_models,
        code=code_of("select_decoder.py"),
    script:
        "../workflow_scripts/select_decoder.py"
