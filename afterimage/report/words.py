"""The names that a reader sees for the words that files use, and which way each score points."""

METHODS: dict[str, tuple[str, str]] = {
    "best": ("Best decoder", "network with the lowest validation error, for image and for text"),
    "linear": ("Linear", "ridge regression with an intercept, for image and for text"),
    "oracle": ("Oracle", "true latents given to the generator: what a perfect decoder would show"),
    "shuffled": ("Shuffled", "the best decoder's predictions given to other images: chance"),
    "mean": ("Mean", "the average training latent: the same prediction for every image"),
    "image_only": ("Image only", "predicted image latent with an empty prompt"),
    "text_only": ("Text only", "predicted text from pure noise, no image latent"),
    "category_only": ("Category only", "what knowing the category alone would score"),
}
"""Method -> its name and what it is, in the order of the tables."""

CONTROLS = ("oracle", "shuffled", "mean", "image_only", "text_only", "category_only")

DECODERS = {"linear": "Linear", "cnn": "CNN", "vae": "VAE", "gcn": "GCN", "optimal": "Optimal"}

METRICS = {
    "pcc": "Pixel correlation",
    "ssim": "SSIM",
    "ssim_per_column": "SSIM per column",
    "lpips_alex": "LPIPS (AlexNet)",
    "efficientnet_v2_s": "EfficientNetV2-S",
    "efficientnet_b1": "EfficientNet-B1",
    "swav": "SwAV",
    "alexnet2": "AlexNet(2) two-way",
    "alexnet5": "AlexNet(5) two-way",
    "inception_v3": "Inception two-way",
    "clip": "CLIP two-way",
}
"""Metric -> its name, for the metrics of the shipped protocols."""

SCORES: dict[str, tuple[str, str]] = {
    "mse": ("MSE", "lower"),
    "mse_14": ("MSE, 14 tokens", "lower"),
    "mse_15": ("MSE, 15 tokens", "lower"),
    "mse_mean": ("MSE of the mean", ""),
    "mse_optimal": ("MSE of the optimum", ""),
    "r2": ("R²", "higher"),
    "two_way": ("Two-way", "higher"),
    "share_of_optimal": ("Share of optimal", "higher"),
    "novelty_identification": ("Novelty identification", "higher"),
    "participation_ratio": ("Participation ratio", ""),
}
"""Latent score -> its name and whether higher or lower is better ('' for neither)."""

SPACES = {
    "image_latent": "image latent",
    "text_latent": "text latent",
    "alexnet5": "AlexNet(5) features",
}
"""Space of a distance to training -> its name."""

ARROWS = {"higher": "↑", "lower": "↓", "": ""}


def words(name: str) -> str:
    """A file's word as a reader's: underscores become spaces."""
    return name.replace("_", " ")


def method_name(method: str) -> str:
    """The name of a method; one whose pictures another system made says so."""
    return METHODS[method][0] if method in METHODS else f"{words(method)} (other system)"


def decoder_name(decoder: str) -> str:
    """The name of a decoder; one added by a user keeps its own."""
    return DECODERS[decoder] if decoder in DECODERS else words(decoder)


def method_hint(method: str) -> str:
    """What a method is, in a few words."""
    return METHODS[method][1] if method in METHODS else "pictures that another system made"


def metric_name(metric: str) -> str:
    """The name of an image metric."""
    return METRICS.get(metric, words(metric))


def metric_order(pair: tuple[str, str]) -> tuple[bool, str, int, str]:
    """Sort key of a (protocol, metric): the report's first, then by protocol, known names first."""
    protocol, metric = pair
    known = list(METRICS)
    place = known.index(metric) if metric in known else len(known)
    return (protocol != "report", protocol, place, metric)


def better(score: str) -> str:
    """'higher', 'lower' or '' for a score of latents; that of pictures is for protocols to say."""
    return SCORES[score][1] if score in SCORES else ""


def method_order(methods: object) -> list[str]:
    """Methods in the order of the tables: ours, other people's, then the controls."""
    known = list(METHODS)
    names = sorted({str(method) for method in methods})  # type: ignore[attr-defined]

    def key(method: str) -> tuple[int, int, str]:
        if method not in known:
            return (1, 0, method)
        return (2 if method in CONTROLS else 0, known.index(method), method)

    return sorted(names, key=key)


def method_place(method: str) -> int:
    """Where a method stands in the tables; other people's come last."""
    known = list(METHODS)
    return known.index(method) if method in known else len(known)


def method_group(method: str) -> str:
    """'decoded', 'other' or 'control': the blocks that tables draw a line between."""
    if method in CONTROLS:
        return "control"
    return "decoded" if method in METHODS else "other"


def space_name(space: str) -> str:
    """The name of a space in which distances to training are measured."""
    return SPACES.get(space, words(space))
