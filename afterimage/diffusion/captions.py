"""Mean embeddings of captions, where each distinct text goes through the encoder once."""

from collections import Counter
from collections.abc import Sequence

import numpy as np

from afterimage.diffusion.batches import Limit
from afterimage.diffusion.encoding import embed_texts
from afterimage.diffusion.model import Generator


class CaptionEmbedder:
    """Embeds the captions of images, block by block.

    Texts that several blocks share (a concept's definition, say) are embedded at the start and
    kept; the others only while their block is computed. So every text always meets the same others
    in its batch, whichever blocks an interrupted job has left to do.

    Parameters
    ----------
    blocks : captions of every image of every block
    """

    def __init__(
        self,
        generator: Generator,
        n_tokens: int,
        batch_size: int,
        blocks: Sequence[Sequence[Sequence[str]]],
    ) -> None:
        self.generator, self.n_tokens = generator, n_tokens
        self.limit = Limit(batch_size)
        occurs = Counter(text for block in blocks for text in _distinct(block))
        self.shared = self._embed(sorted(text for text, count in occurs.items() if count > 1))

    def mean_embeddings(self, block: Sequence[Sequence[str]]) -> np.ndarray:
        """Average embedding of each image's captions, float32 (images, n_tokens, width)."""
        own = self._embed([text for text in _distinct(block) if text not in self.shared])
        known = self.shared | own
        means = [
            np.mean([known[text] for text in captions], axis=0, dtype=np.float64)
            for captions in block
        ]
        return np.stack(means).astype(np.float32)

    def _embed(self, texts: list[str]) -> dict[str, np.ndarray]:
        parts = self.limit.run(
            lambda part: embed_texts(self.generator, texts[part], self.n_tokens), len(texts)
        )
        rows = (row for part in parts for row in part)
        return dict(zip(texts, rows, strict=True))


def _distinct(block: Sequence[Sequence[str]]) -> list[str]:
    return list(dict.fromkeys(text for captions in block for text in captions))
