"""What the decoders learn: Stable Diffusion's latents of pictures and of captions."""


checkpoint check_generator:
    """Look at the generator before the work, and fetch a hub's model where there is a network.

    As with the raw files, its last good answer stays when it fails, and it is a checkpoint: else what
    is made with another generator would not be made in the run in which this one is looked at.
    """
    input:
        # Bad raw files are found before anything is downloaded.
        check=ancient("results/data_check.txt"),
        model=model_files("scheduler", "text_encoder", "tokenizer", "unet", "vae"),
    output:
        update("results/generator.json"),
    log:
        "results/logs/check_generator/all.log",
    benchmark:
        "results/benchmarks/check_generator/all.tsv"
    # Before what reads betas for hours.
    priority: 1
    conda:
        "../envs/torch.yaml"
    resources:
        mem_mb=memory(1000),
        runtime=minutes(120),
    params:
        cfg=generator_settings(),
    script:
        "../workflow_scripts/check_generator.py"


rule encode_images:
    """Encode a subject's pictures to latents z, a file for each split."""
    input:
        raw=raw_of,
        check=ancient("results/data_check.txt"),
        generator=ancient("results/generator.json"),
        trials="results/{dataset}/{subject}/trials.parquet",
        model=model_files("vae"),
    output:
        **every_split("results/{dataset}/{subject}/latents/image/{split}.zarr"),
    log:
        "results/logs/encode_images/{dataset}-{subject}.log",
    benchmark:
        "results/benchmarks/encode_images/{dataset}-{subject}.tsv"
    conda:
        "../envs/torch.yaml"
    threads: config["execution"]["threads"]
    resources:
        gpu=gpus,
        mem_mb=memory(6000),
        runtime=minutes(60),
    params:
        cfg=encoding_settings("revision", "image_size", "latent"),
        files=stamp_of("images"),
        code=code_of("encode_images.py"),
        execution=execution,
        state="results/.partial/encode_images/{dataset}-{subject}",
    script:
        "../workflow_scripts/encode_images.py"


rule encode_captions:
    """Encode captions to text embeddings c, averaged over an image's, a file for each split."""
    input:
        raw=raw_of,
        check=ancient("results/data_check.txt"),
        generator=ancient("results/generator.json"),
        trials="results/{dataset}/{subject}/trials.parquet",
        model=model_files("text_encoder", "tokenizer"),
    output:
        **every_split("results/{dataset}/{subject}/latents/text/{split}.zarr"),
    log:
        "results/logs/encode_captions/{dataset}-{subject}.log",
    benchmark:
        "results/benchmarks/encode_captions/{dataset}-{subject}.tsv"
    conda:
        "../envs/torch.yaml"
    threads: config["execution"]["threads"]
    resources:
        gpu=gpus,
        mem_mb=memory(6000),
        runtime=minutes(60),
    params:
        cfg=encoding_settings("revision", "n_tokens"),
        files=stamp_of("captions"),
        code=code_of("encode_captions.py"),
        execution=execution,
        state="results/.partial/encode_captions/{dataset}-{subject}",
    script:
        "../workflow_scripts/encode_captions.py"
