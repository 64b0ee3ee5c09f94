"""Pictures: what each method hands to the frozen generator, and what comes out."""


rule compose_method:
    """Gather the latents that a method hands to the generator for each test image."""
    input:
        sources=method_source_files,
        selected=method_selection,
        test_images="results/{dataset}/{subject}/responses/lower/test.zarr",
    output:
        z=directory("results/{dataset}/{subject}/methods/{method}/z.zarr"),
        c=directory("results/{dataset}/{subject}/methods/{method}/c.zarr"),
    log:
        "results/logs/compose_method/{dataset}-{subject}-{method}.log",
    benchmark:
        "results/benchmarks/compose_method/{dataset}-{subject}-{method}.tsv"
    conda:
        "../envs/analysis.yaml"
    resources:
        mem_mb=memory(1000, per_input=2),
        runtime=minutes(10),
    params:
        cfg={"seed": config["seed"]},
        sources=method_sources,
        code=code_of("compose_method.py"),
    script:
        "../workflow_scripts/compose_method.py"


rule import_pictures:
    """List the pictures that another system made, as a shard of our own."""
    input:
        trials="results/{dataset}/{subject}/trials.parquet",
    output:
        directory("results/{dataset}/{subject}/reconstructions/{method}/shard1of1"),
    log:
        "results/logs/import_pictures/{dataset}-{subject}-{method}.log",
    benchmark:
        "results/benchmarks/import_pictures/{dataset}-{subject}-{method}.tsv"
    wildcard_constraints:
        method="|".join(EXTERNAL) or "none",
    conda:
        "../envs/analysis.yaml"
    resources:
        mem_mb=memory(1000),
        runtime=minutes(10),
    params:
        folder=external_folder,
        stamp=external_stamp,
        code=code_of("import_pictures.py"),
    script:
        "../workflow_scripts/import_pictures.py"


rule reconstruct_images:
    """Sample pictures for one shard of a method's test images."""
    input:
        z="results/{dataset}/{subject}/methods/{method}/z.zarr",
        c="results/{dataset}/{subject}/methods/{method}/c.zarr",
        generator=ancient("results/generator.json"),
        model=model_files("scheduler", "text_encoder", "tokenizer", "unet", "vae"),
    output:
        directory(
            "results/{dataset}/{subject}/reconstructions/{method}/shard{shard}of{n_shards}"
        ),
    log:
        "results/logs/reconstruct_images/{dataset}-{subject}-{method}-{shard}of{n_shards}.log",
    benchmark:
        "results/benchmarks/reconstruct_images/{dataset}-{subject}-{method}-{shard}of{n_shards}.tsv"
    wildcard_constraints:
        method=f"(?:{'|'.join(methods.METHODS)}){FURTHER_SEED}",
        shard="[0-9]+",
        n_shards="[0-9]+",
    conda:
        "../envs/torch.yaml"
    threads: config["execution"]["threads"]
    resources:
        gpu=gpus,
        mem_mb=memory(12000),
        runtime=minutes_of_shard,
    params:
        cfg=sampling_settings,
        code=code_of("reconstruct_images.py"),
        execution=execution,
        shard=lambda wildcards: int(wildcards.shard) - 1,
        n_shards=lambda wildcards: int(wildcards.n_shards),
        state="results/.partial/reconstruct_images/{dataset}-{subject}-{method}-{shard}of{n_shards}",
    script:
        "../workflow_scripts/reconstruct_images.py"
