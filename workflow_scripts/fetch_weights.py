"""Get one network's weights for scoring, checked, as safetensors under resources/weights/.

Without any source the file is written too, empty and with the reason in it, so that scores that do
not need the network are still made; remove it to try again.
"""


def main(out: str, status: str, cfg: dict) -> None:
    """Write the weights and a status.

    Parameters
    ----------
    out : safetensors file to write: `{network}.safetensors`
    status : JSON file to write: network, available, source, reason
    cfg : `network`; `folder` (of the user's own weights, or None); `sources` (of `download` and
        `package`, in order; none means that nothing is fetched)
    """
    from afterimage.errors import InputError
    from afterimage.metrics import weights
    from afterimage.stores import write_json

    network, source, reason = cfg["network"], "", ""
    if network not in weights.NETWORKS:
        raise InputError("network", f"one of {', '.join(weights.NETWORKS)}", repr(network))
    try:
        tensors, source = weights.obtain(network, cfg.get("folder"), list(cfg["sources"]))
    except InputError as error:
        tensors, reason = {}, f"{error} (remove {out} and run again to retry)"
    weights.save(out, tensors, {"network": network, "source": source, "reason": reason})
    write_json(
        status,
        {"network": network, "available": not reason, "source": source, "reason": reason},
    )
    print(reason or f"{network}: {len(tensors)} tensors from {source}", flush=True)


if "snakemake" in globals():
    from afterimage.jobs import job_log

    with job_log(snakemake.log[0], snakemake.threads):
        main(
            out=snakemake.output.weights,
            status=snakemake.output.status,
            cfg=snakemake.params.cfg,
        )
