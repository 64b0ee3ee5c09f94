"""What to do about one of NSD's files, in one wording."""

COMMAND = "snakemake --cores 8 download_nsd, with this run's --configfile"
FETCH = f"Fetch it: {COMMAND}."
# A file of the right size counts as fetched, whatever is in it.
REPLACE = f"Delete it and fetch it again: {COMMAND}."
