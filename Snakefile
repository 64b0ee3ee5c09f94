"""afterimage: from raw fMRI betas to reconstructed pictures and tables that can be trusted."""

from snakemake.utils import min_version

min_version("9.27")


configfile: f"{workflow.basedir}/config.yaml"


report: "report/workflow.rst"


include: "rules/common.smk"
include: "rules/sections.smk"
include: "rules/simulate.smk"
include: "rules/responses.smk"
include: "rules/graphs.smk"
include: "rules/latents.smk"
include: "rules/decoders.smk"
include: "rules/reconstructions.smk"
include: "rules/metrics.smk"
include: "rules/checks.smk"
include: "rules/report.smk"


# Where Snakemake itself runs: what needs the internet, or seconds only.
localrules:
    all,
    check_generator,
    download_nsd,
    fetch_weights,
    leak_proof,
    list_jobs,
    select_decoder,


rule all:
    default_target: True
    input:
        "results/report/index.html",
        "results/tables/latent_mse.csv",
        "results/tables/image_metrics.csv",
        "results/provenance.json",
