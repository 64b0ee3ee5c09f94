"""The page, and the record of what it was made from."""


rule render_report:
    """The page that a person looks at, its figures, and the tables as Markdown."""
    input:
        raw=simulated_raw(),
        latent_mse="results/tables/latent_mse.csv",
        image_metrics="results/tables/image_metrics.csv",
        latent_comparisons="results/tables/latent_comparisons.csv",
        comparisons="results/tables/comparisons.csv",
        reconstructions=[
            f"results/{dataset}/{subject}/reconstructions/{method}/{shard}"
            for dataset, subject in subjects()
            for method in methods_of(dataset, subject)
            for shard in shards_of(dataset, method)
        ],
        # It shows the first seed's pictures and scores; the tables' values are of all seeds.
        image_scores=image_score_files(methods_of),
        latent_scores=latent_score_files(TARGET_DECODERS),
        histories=decoder_files("history.csv"),
        decoders=decoder_files("model.json"),
        weights=decoder_files("model.safetensors"),
        graphs=for_each_subject("graph.zarr"),
        responses=for_each_subject(
            "responses/lower/train.zarr", "responses/higher/train.zarr"
        ),
        novelty=for_each_subject("scores/novelty.parquet"),
        selected=selections(),
        leak_proof="results/leak_proof.json" if trains() else [],
        provenance="results/provenance.json",
    output:
        "results/report/index.html",
        grids=[
            report(
                f"results/report/thumbs/{dataset}-{subject}-grid.png",
                caption="../report/grid.rst",
                category="Pictures",
                labels={"dataset": dataset, "subject": subject},
            )
            for dataset, subject in subjects()
            if methods_of(dataset, subject)
        ],
    log:
        "results/logs/render_report/page.log",
    benchmark:
        "results/benchmarks/render_report/page.tsv"
    conda:
        "../envs/analysis.yaml"
    threads: config["execution"]["threads"]
    resources:
        mem_mb=memory(4000),
        runtime=minutes(30),
    params:
        cfg=report_settings(),
        results=lambda wildcards, output: str(Path(output[0]).parents[1]),
        benchmarks=lambda wildcards, output: str(
            Path(output[0]).parents[1] / "benchmarks"
        ),
        code=code_of("render_report.py"),
    script:
        "../workflow_scripts/render_report.py"


rule write_provenance:
    """Record versions, config, code, models and raw files; checksums of what tables come from."""
    input:
        raw=simulated_raw(),
        tables=TABLES,
        made=[
            *latent_score_files(),
            *image_score_files(),
            *decoder_files("model.safetensors", TRAINED_DECODERS),
            *decoder_files("model.json", TRAINED_DECODERS),
            *selections(),
        ],
        weights=network_weights(),
        shards=[
            f"results/{dataset}/{subject}/reconstructions/{method}/{shard}"
            for dataset, subject in subjects()
            for method in scored_methods_of(dataset, subject)
            for shard in shards_of(dataset, method)
        ],
        given=[*category_files(), *own_protocols()],
        jobs="results/jobs.json",
    output:
        report(
            "results/provenance.json",
            caption="../report/provenance.rst",
            category="Evidence",
            labels={"what": "what the tables were made from"},
        ),
    log:
        "results/logs/write_provenance/record.log",
    benchmark:
        "results/benchmarks/write_provenance/record.tsv"
    conda:
        "../envs/torch.yaml"
    resources:
        mem_mb=memory(1000),
        runtime=minutes(60),
    params:
        config=whole_config,
        compared=what_is_computed(),
        code_of_rules=code_of_rules,
        model=generator(),
        root=str(ROOT),
        code=code_of("write_provenance.py"),
    script:
        "../workflow_scripts/write_provenance.py"
