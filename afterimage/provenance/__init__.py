"""Where results come from: code fingerprints for exact reruns, and the leak proof."""

from afterimage.provenance.dry_run import jobs_of_dry_run
from afterimage.provenance.fingerprint import code_fingerprint
from afterimage.provenance.leaks import Job, leak_proof

__all__ = ["Job", "code_fingerprint", "jobs_of_dry_run", "leak_proof"]
