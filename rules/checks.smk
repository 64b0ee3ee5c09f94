"""Before and beside the work: a look at the raw files, getting NSD, and the proof of no leaks."""


checkpoint check_data:
    """Look at every raw file that is needed: there, whole, of the expected shape?

    Its last good answer stays when it fails: removing it would run everything after it again. It is
    a checkpoint because Snakemake asks what else must run of the jobs after it only once it is done:
    for this reason an edit of its code alone does not run it, and hide all else from a dry run.
    """
    input:
        simulated_raw(),
    output:
        update("results/data_check.txt"),
    log:
        "results/logs/check_data/all.log",
    benchmark:
        "results/benchmarks/check_data/all.tsv"
    conda:
        "../envs/analysis.yaml"
    resources:
        mem_mb=memory(2000),
        runtime=minutes(20),
    params:
        cfg=check_settings(),
        files=all_raw_files,
    script:
        "../workflow_scripts/check_data.py"


rule download_nsd:
    """Fetch exactly the NSD files that the config needs, from the public bucket.

    It has no output: whenever it is asked for, it compares what there is with the bucket.
    """
    log:
        "results/logs/download_nsd/all.log",
    benchmark:
        "results/benchmarks/download_nsd/all.tsv"
    conda:
        "../envs/analysis.yaml"
    threads: 8
    resources:
        mem_mb=memory(2000),
        runtime=minutes(1440),
    params:
        cfg=download_settings(),
        code=code_of("download_nsd.py"),
    script:
        "../workflow_scripts/download_nsd.py"


rule list_jobs:
    """List all jobs of this run from Snakemake's own graph."""
    output:
        "results/jobs.json",
    log:
        "results/logs/list_jobs/all.log",
    benchmark:
        "results/benchmarks/list_jobs/all.tsv"
    conda:
        "../envs/analysis.yaml"
    resources:
        mem_mb=memory(1000),
        runtime=minutes(10),
    params:
        config=whole_config,
        compared=what_is_computed(),
        snakefile=str(ROOT / "Snakefile"),
        targets=TABLES,
        rules=digest_of_rules,
        python=own_python,
        graphs=kinds_with_graph(),
        weights=network_weights(),
        code=code_of("list_jobs.py", modules_of_rules),
    script:
        "../workflow_scripts/list_jobs.py"


rule leak_proof:
    """Prove from the graph of jobs that nothing of the test set reached training or selection."""
    input:
        jobs="results/jobs.json",
    output:
        report(
            "results/leak_proof.json",
            caption="../report/leak_proof.rst",
            category="Evidence",
            labels={"what": "nothing of the test set leaked"},
        ),
    log:
        "results/logs/leak_proof/all.log",
    benchmark:
        "results/benchmarks/leak_proof/all.tsv"
    conda:
        "../envs/analysis.yaml"
    resources:
        mem_mb=memory(1000),
        runtime=minutes(10),
    params:
        code=code_of("leak_proof.py"),
    script:
        "../workflow_scripts/leak_proof.py"
