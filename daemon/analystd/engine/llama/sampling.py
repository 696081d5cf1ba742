"""Choose the next token from the model's scores."""

from __future__ import annotations

from typing import Protocol

import numpy as np
import numpy.typing as npt

TOP_K = 40
TOP_P = 0.95

Logits = npt.NDArray[np.float32]


class Sampler(Protocol):
    """Chooses a token. A forbidden token has a score of minus infinity."""

    def __call__(self, logits: Logits) -> int:
        """Return the chosen token."""
        ...


def make_sampler(temperature: float, seed: int) -> Sampler:
    """Return a sampler: the most likely token at temperature 0, otherwise a random one of the `TOP_K` most likely within `TOP_P`."""
    return _greedy if temperature <= 0 else _RandomSampler(temperature, seed)


def _greedy(logits: Logits) -> int:
    return int(logits.argmax())


class _RandomSampler:
    def __init__(self, temperature: float, seed: int) -> None:
        self._temperature = temperature
        self._random = np.random.default_rng(seed)

    def __call__(self, logits: Logits) -> int:
        likeliest = np.argpartition(logits, -TOP_K)[-TOP_K:] if len(logits) > TOP_K else np.arange(len(logits))
        likeliest = likeliest[np.argsort(-logits[likeliest], kind="stable")]
        scores = logits[likeliest].astype(np.float64)
        probabilities = np.exp((scores - scores[0]) / self._temperature)
        probabilities /= probabilities.sum()
        # A token is kept while the sum of those before it is below TOP_P; the first one is always kept.
        probabilities[probabilities.cumsum() - probabilities >= TOP_P] = 0
        return int(self._random.choice(likeliest, p=probabilities / probabilities.sum()))
