"""afterimage: from raw fMRI betas to reconstructed pictures and tables that can be trusted."""

from snakemake.utils import min_version

min_version("9.27")


configfile: f"{workflow.basedir}/config.yaml"


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


localrules:
    all,


rule all:
    default_target: True
    input:
        "results/report/index.html",
        "results/tables/latent_mse.csv",
        "results/tables/image_metrics.csv",
