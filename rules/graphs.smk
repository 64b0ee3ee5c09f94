"""The graph of regions that the GCN runs on."""


rule build_graph:
    """Pearson correlations of the regions' mean responses over training trials."""
    input:
        responses=graph_responses,
    output:
        directory("results/{dataset}/{subject}/graph.zarr"),
    log:
        "results/logs/build_graph/{dataset}-{subject}.log",
    benchmark:
        "results/benchmarks/build_graph/{dataset}-{subject}.tsv"
    conda:
        "../envs/analysis.yaml"
    resources:
        mem_mb=memory(1000, per_input=3),
        runtime=minutes(10),
    params:
        cfg=graph_settings,
        code=code_of("build_graph.py"),
    script:
        "../workflow_scripts/build_graph.py"
