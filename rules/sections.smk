"""The section of the config that every stage may see, and the files that it reads."""


include: "sections/simulate.smk"
include: "sections/responses.smk"
include: "sections/graphs.smk"
include: "sections/latents.smk"
include: "sections/decoders.smk"
include: "sections/reconstructions.smk"
include: "sections/metrics.smk"
include: "sections/checks.smk"
include: "sections/report.smk"
