"""Simulated raw files, in the layouts of the releases; only the demo has them."""


rule simulate_nsd:
    """A small simulated study in the raw layout of the Natural Scenes Dataset."""
    output:
        raw=directory("results/demo/{dataset}/raw"),
        truth=directory("results/demo/{dataset}/truth"),
    log:
        "results/logs/simulate_nsd/{dataset}.log",
    benchmark:
        "results/benchmarks/simulate_nsd/{dataset}.tsv"
    wildcard_constraints:
        dataset=simulated("nsd"),
    conda:
        "../envs/analysis.yaml"
    resources:
        mem_mb=memory(1500),
        runtime=minutes(20),
    params:
        cfg=simulation_settings,
        code=code_of("simulate_nsd.py"),
    script:
        "../workflow_scripts/simulate_nsd.py"


rule simulate_things:
    """A small simulated study in the raw layout of THINGS-fMRI."""
    output:
        raw=directory("results/demo/{dataset}/raw"),
        truth=directory("results/demo/{dataset}/truth"),
    log:
        "results/logs/simulate_things/{dataset}.log",
    benchmark:
        "results/benchmarks/simulate_things/{dataset}.tsv"
    wildcard_constraints:
        dataset=simulated("things"),
    conda:
        "../envs/analysis.yaml"
    resources:
        mem_mb=memory(1500),
        runtime=minutes(20),
    params:
        cfg=simulation_settings,
        code=code_of("simulate_things.py"),
    script:
        "../workflow_scripts/simulate_things.py"
