"""List pictures that another system made, by image id, in the form of our own reconstructions.

Output: a folder with manifest.csv, whose files stay where they are, and extra.txt, the names of
pictures that belong to no test image.
"""


def main(folder: str, trials: str, out: str) -> None:
    """Find the pictures of the test images.

    Parameters
    ----------
    folder : PNGs named `{image_id}.png` or `{image_id}_{sample}.png`
    trials : table of trials, whose test images are expected
    out : folder to write

    Raises
    ------
    InputError
        if the folder holds no picture of a test image, or a file is no picture
    """
    import pandas as pd

    from afterimage.metrics.pictures import EXTRA, find_reconstructions, note_sizes
    from afterimage.stores import read_table, whole, write_table

    table = read_table(trials)
    expected = table.loc[table["split"] == "test", "image_id"].unique()
    found = find_reconstructions([folder], expected)
    note_sizes(found)
    for line in found.remarks():
        print(line, flush=True)
    rows = [
        (name, sample, str(path.resolve()))
        for name in found.image_ids
        for sample, path in sorted(found.files[name].items())
    ]
    print(f"{len(rows)} pictures of {len(found.files)} of {len(expected)} test images")
    with whole(out) as temporary:
        temporary.mkdir()
        write_table(
            temporary / "manifest.csv", pd.DataFrame(rows, columns=["image_id", "sample", "file"])
        )
        (temporary / EXTRA).write_text("".join(f"{name}\n" for name in found.extra))


if "snakemake" in globals():
    from afterimage.jobs import job_log

    with job_log(snakemake.log[0], snakemake.threads):
        main(snakemake.params.folder, snakemake.input.trials, snakemake.output[0])
