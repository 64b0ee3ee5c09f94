"""From raw betas to normalised responses, one file per area and split."""


rule index_trials:
    """List a subject's trials, each with its image, split and repeat."""
    input:
        raw=raw_of,
        check=ancient("results/data_check.txt"),
    output:
        "results/{dataset}/{subject}/trials.parquet",
    log:
        "results/logs/index_trials/{dataset}-{subject}.log",
    benchmark:
        "results/benchmarks/index_trials/{dataset}-{subject}.tsv"
    conda:
        "../envs/analysis.yaml"
    resources:
        mem_mb=memory(1500),
        runtime=minutes(10),
    params:
        cfg=index_settings,
        files=stamp_of("trials"),
        code=code_of("index_trials.py"),
    script:
        "../workflow_scripts/index_trials.py"


rule read_betas:
    """Read the voxels of both areas in one session, a file for each split."""
    input:
        raw=raw_of,
        check=ancient("results/data_check.txt"),
        trials="results/{dataset}/{subject}/trials.parquet",
    output:
        **every_split("results/{dataset}/{subject}/betas/{split}/{part}.zarr"),
    log:
        "results/logs/read_betas/{dataset}-{subject}-{part}.log",
    benchmark:
        "results/benchmarks/read_betas/{dataset}-{subject}-{part}.tsv"
    conda:
        "../envs/analysis.yaml"
    resources:
        mem_mb=memory(2000),
        runtime=minutes(30),
    params:
        cfg=reading_settings,
        files=stamp_of("trials", "voxels", "betas"),
        code=code_of("read_betas.py"),
    script:
        "../workflow_scripts/read_betas.py"


rule extract_responses:
    """Normalise per voxel by training statistics and average the repeats of held-out images."""
    input:
        trials="results/{dataset}/{subject}/trials.parquet",
        betas=split_betas(None),
        training=training_responses,
    output:
        lower=directory("results/{dataset}/{subject}/responses/lower/{split}.zarr"),
        higher=directory("results/{dataset}/{subject}/responses/higher/{split}.zarr"),
    log:
        "results/logs/extract_responses/{dataset}-{subject}-{split}.log",
    benchmark:
        "results/benchmarks/extract_responses/{dataset}-{subject}-{split}.tsv"
    conda:
        "../envs/analysis.yaml"
    resources:
        mem_mb=memory(1500, per_input=3),
        runtime=minutes(30, per_gigabyte=15),
    params:
        cfg=response_settings,
        code=code_of("extract_responses.py"),
    script:
        "../workflow_scripts/extract_responses.py"
