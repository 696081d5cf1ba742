"""How the next token is chosen from the model's scores."""

from __future__ import annotations

from typing import Protocol

import numpy as np
import numpy.typing as npt

TOP_K = 40
TOP_P = 0.95

Logits = npt.NDArray[np.float32]


class Sampler(Protocol):
    """Chooses a token; a forbidden one has a score of minus infinity."""

    def __call__(self, logits: Logits) -> int:
        """The chosen token."""
        ...


def make_sampler(temperature: float, seed: int) -> Sampler:
    """The most likely token at temperature 0, else one drawn as the seed has it, from the `TOP_K` likeliest within `TOP_P`."""
    return _greedy if temperature <= 0 else _Drawn(temperature, seed)


def _greedy(logits: Logits) -> int:
    return int(logits.argmax())


class _Drawn:
    def __init__(self, temperature: float, seed: int) -> None:
        self._temperature = temperature
        self._random = np.random.default_rng(seed)

    def __call__(self, logits: Logits) -> int:
        likeliest = np.argpartition(logits, -TOP_K)[-TOP_K:] if len(logits) > TOP_K else np.arange(len(logits))
        likeliest = likeliest[np.argsort(-logits[likeliest], kind="stable")]
        scores = logits[likeliest].astype(np.float64)
        chances = np.exp((scores - scores[0]) / self._temperature)
        chances /= chances.sum()
        # A token counts as long as those before it have not reached TOP_P together; the first one always does.
        chances[chances.cumsum() - chances >= TOP_P] = 0
        return int(self._random.choice(likeliest, p=chances / chances.sum()))
