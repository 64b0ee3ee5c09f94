"""What the decoders learn: Stable Diffusion's latents of pictures and of captions."""


rule encode_images:
    """Encode one split's pictures to latents z."""
    input:
        raw=raw_of,
        trials="results/{dataset}/{subject}/trials.parquet",
        model=model_files("vae"),
    output:
        directory("results/{dataset}/{subject}/latents/image/{split}.zarr"),
    log:
        "results/logs/encode_images/{dataset}-{subject}-{split}.log",
    benchmark:
        "results/benchmarks/encode_images/{dataset}-{subject}-{split}.tsv"
    conda:
        "../envs/torch.yaml"
    threads: 2
    resources:
        gpu=1,
        mem_mb=6000,
        runtime=60,
    params:
        cfg=encoding_settings("revision", "image_size", "latent"),
        code=code_of("encode_images.py"),
        execution=execution,
        state="results/.partial/encode_images/{dataset}-{subject}-{split}",
    script:
        "../workflow_scripts/encode_images.py"


rule encode_captions:
    """Encode one split's captions to text embeddings c, averaged over an image's captions."""
    input:
        raw=raw_of,
        trials="results/{dataset}/{subject}/trials.parquet",
        model=model_files("text_encoder"),
    output:
        directory("results/{dataset}/{subject}/latents/text/{split}.zarr"),
    log:
        "results/logs/encode_captions/{dataset}-{subject}-{split}.log",
    benchmark:
        "results/benchmarks/encode_captions/{dataset}-{subject}-{split}.tsv"
    conda:
        "../envs/torch.yaml"
    threads: 2
    resources:
        gpu=1,
        mem_mb=6000,
        runtime=60,
    params:
        cfg=encoding_settings("revision", "n_tokens"),
        code=code_of("encode_captions.py"),
        execution=execution,
        state="results/.partial/encode_captions/{dataset}-{subject}-{split}",
    script:
        "../workflow_scripts/encode_captions.py"
