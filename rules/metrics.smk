"""Scores, one file per split, and the tables."""


rule fetch_weights:
    """Get a scoring network's weights; without a source, say so and let the rest go on."""
    input:
        # Bad raw files are found before anything is downloaded.
        check=ancient("results/data_check.txt"),
    output:
        weights="resources/weights/{network}.safetensors",
        status="resources/weights/{network}.json",
    log:
        "results/logs/fetch_weights/{network}.log",
    benchmark:
        "results/benchmarks/fetch_weights/{network}.tsv"
    conda:
        "../envs/torch.yaml"
    resources:
        mem_mb=memory(2000),
        runtime=minutes(30),
    params:
        cfg=weights_settings,
        code=code_of("fetch_weights.py"),
    script:
        "../workflow_scripts/fetch_weights.py"


rule estimate_optimal:
    """What the best linear decoder of a simulated brain would predict for the test images."""
    input:
        truth="results/demo/{dataset}/truth",
        responses_image=input_responses("image", "test"),
        responses_image_train=input_responses("image", "train"),
        responses_text=input_responses("text", "test"),
        responses_text_train=input_responses("text", "train"),
        latents_image_train="results/{dataset}/{subject}/latents/image/train.zarr",
        latents_text_train="results/{dataset}/{subject}/latents/text/train.zarr",
        generator=ancient("results/generator.json"),
        model=model_files("text_encoder", "tokenizer", "vae"),
    output:
        image=directory("results/{dataset}/{subject}/optimal/image.test.zarr"),
        text=directory("results/{dataset}/{subject}/optimal/text.test.zarr"),
    log:
        "results/logs/estimate_optimal/{dataset}-{subject}.log",
    benchmark:
        "results/benchmarks/estimate_optimal/{dataset}-{subject}.tsv"
    conda:
        "../envs/torch.yaml"
    threads: config["execution"]["threads"]
    resources:
        gpu=gpus,
        mem_mb=memory(4000),
        runtime=minutes(60),
    params:
        cfg=optimal_settings,
        code=code_of("estimate_optimal.py"),
        execution=execution,
    script:
        "../workflow_scripts/estimate_optimal.py"


rule score_novelty:
    """How far each test image is from its nearest training image."""
    input:
        raw=novelty_pictures,
        weights=novelty_weights(),
        image_test="results/{dataset}/{subject}/latents/image/test.zarr",
        image_train="results/{dataset}/{subject}/latents/image/train.zarr",
        text_test="results/{dataset}/{subject}/latents/text/test.zarr",
        text_train="results/{dataset}/{subject}/latents/text/train.zarr",
    output:
        "results/{dataset}/{subject}/scores/novelty.parquet",
    log:
        "results/logs/score_novelty/{dataset}-{subject}.log",
    benchmark:
        "results/benchmarks/score_novelty/{dataset}-{subject}.tsv"
    conda:
        "../envs/torch.yaml"
    threads: config["execution"]["threads"]
    resources:
        gpu=lambda wildcards: gpus(wildcards) if novelty_weights() else 0,
        mem_mb=memory(3000, per_input=4),
        runtime=minutes(20),
    params:
        cfg=novelty_settings,
        code=code_of("score_novelty.py"),
        execution=execution,
    script:
        "../workflow_scripts/score_novelty.py"


if TARGET_DECODERS:

    rule score_latents:
        """Score every decoder's predictions on one split, a row per image."""
        input:
            predictions=[
                f"results/{{dataset}}/{{subject}}/predictions/{target}-{decoder}.{{split}}.zarr"
                for target, decoder in TRAINED_DECODERS
            ],
            latents=[
                f"results/{{dataset}}/{{subject}}/latents/{target}/{{split}}.zarr"
                for target in TARGET_ARRAYS
            ],
            latents_train=[
                f"results/{{dataset}}/{{subject}}/latents/{target}/train.zarr"
                for target in TARGET_ARRAYS
            ],
            halves=predicted_halves,
            optimal=optimal_predictions,
        output:
            [
                f"results/{{dataset}}/{{subject}}/scores/latents-{target}-{decoder}.{{split}}.parquet"
                for target, decoder in TRAINED_DECODERS
            ],
        log:
            "results/logs/score_latents/{dataset}-{subject}-{split}.log",
        benchmark:
            "results/benchmarks/score_latents/{dataset}-{subject}-{split}.tsv"
        conda:
            "../envs/analysis.yaml"
        resources:
            mem_mb=memory(1500, per_input=3),
            runtime=minutes(20),
        params:
            cfg=bootstrap_settings(),
            targets=list(TARGET_ARRAYS),
            decoders=TRAINED_DECODERS,
            code=code_of("score_latents.py"),
        script:
            "../workflow_scripts/score_latents.py"


rule score_images:
    """Score one method's pictures under every chosen protocol, a row per image and sample."""
    input:
        raw=raw_of,
        trials="results/{dataset}/{subject}/trials.parquet",
        reconstructions=shards_for,
        weights=network_weights(),
    output:
        scores="results/{dataset}/{subject}/scores/images-{method}.parquet",
        remarks="results/{dataset}/{subject}/scores/images-{method}.remarks.txt",
    log:
        "results/logs/score_images/{dataset}-{subject}-{method}.log",
    benchmark:
        "results/benchmarks/score_images/{dataset}-{subject}-{method}.tsv"
    conda:
        "../envs/torch.yaml"
    threads: config["execution"]["threads"]
    resources:
        gpu=gpus,
        mem_mb=memory(6000),
        runtime=minutes_of_scores,
    params:
        cfg=image_score_settings,
        files=stamp_of("images"),
        code=code_of("score_images.py"),
        execution=execution,
    script:
        "../workflow_scripts/score_images.py"


rule tabulate:
    """Every score with its interval over images, and paired comparisons."""
    input:
        latent_scores=latent_score_files(),
        image_scores=image_score_files(),
        categories=category_files(),
        trials=[
            f"results/{dataset}/{subject}/trials.parquet"
            for dataset, subject in subjects()
        ],
    output:
        latent=report(
            "results/tables/latent_mse.csv",
            caption="../report/latent_mse.rst",
            category="Tables",
            labels={"of": "latents", "shows": "scores"},
        ),
        images=report(
            "results/tables/image_metrics.csv",
            caption="../report/image_metrics.rst",
            category="Tables",
            labels={"of": "pictures", "shows": "scores"},
        ),
        latent_comparisons="results/tables/latent_comparisons.csv",
        comparisons=report(
            "results/tables/comparisons.csv",
            caption="../report/comparisons.rst",
            category="Tables",
            labels={"of": "pictures", "shows": "comparisons"},
        ),
    log:
        "results/logs/tabulate/tables.log",
    benchmark:
        "results/benchmarks/tabulate/tables.tsv"
    conda:
        "../envs/analysis.yaml"
    resources:
        mem_mb=memory(2000),
        runtime=minutes(20),
    params:
        cfg=table_settings(),
        subjects=subjects(),
        code=code_of("tabulate.py"),
    script:
        "../workflow_scripts/tabulate.py"
