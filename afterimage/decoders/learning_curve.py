"""How a decoder's share of the optimum grows with the number of training trials."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from afterimage.decoders import make
from afterimage.decoders.interface import (
    Execution,
    Graph,
    Samples,
    Shapes,
    mean_squared_error,
)


def learning_curve(
    entries: Mapping[str, Mapping[str, Any]],
    train: Samples,
    validation: Samples,
    test: Samples,
    optimal: np.ndarray,
    latent: tuple[int, ...],
    sizes: Sequence[int],
    execution: Execution,
    graph: Graph | None = None,
) -> Iterator[dict[str, Any]]:
    """Train every decoder on growing subsets of the training images.

    Parameters
    ----------
    entries : decoder name -> config entry
    optimal : (n_test, n_outputs) what the best decoder there is predicts for the test samples
    latent : shape of one image's latent
    sizes : numbers of training trials, each taken as the trials of the first images in the order
        of `train.y`, so that a smaller set is within every larger one

    Yields
    ------
    rows of decoder, n_trials, n_images, mse, mse_mean, mse_optimal, share_of_optimal; mse_mean is
    of predicting the whole training set's mean
    """
    of_mean = mean_squared_error(np.repeat(train.mean_target()[None], len(test.x), 0), test)
    of_optimal = mean_squared_error(optimal, test)
    shapes = Shapes(train.x.shape[1], latent)
    for size in sizes:
        part = first_trials(train, size)
        for name, entry in entries.items():
            decoder = make(entry, shapes, graph)
            decoder.fit(part, validation, execution)
            error = mean_squared_error(decoder.predict(test.x, execution), test)
            yield {
                "decoder": name,
                "n_trials": len(part.x),
                "n_images": len(np.unique(part.image)),
                "mse": error,
                "mse_mean": of_mean,
                "mse_optimal": of_optimal,
                "share_of_optimal": (of_mean - error) / (of_mean - of_optimal),
            }


def first_trials(samples: Samples, size: int) -> Samples:
    """All trials of the first images, as many images as `size` trials hold.

    The last image may be there with a part of its trials.
    """
    rows = np.argsort(samples.image, kind="stable")[:size]
    return Samples(samples.x[np.sort(rows)], samples.image[np.sort(rows)], samples.y)
