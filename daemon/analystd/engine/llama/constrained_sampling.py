"""Holds generated tokens to a grammar, at next to no cost: the one token that was sampled is checked, and all are masked only on a miss.

A grammar in llama.cpp's sampler chain looks at every token of the vocabulary at each step and halves the speed.
"""

from __future__ import annotations

import ctypes
import math
from typing import Any

import numpy as np
import numpy.typing as npt

from analystd.engine.llama.libllama import TokenData, TokenDataArray
from analystd.engine.llama.llama_model import Logits, Vocabulary, lib
from analystd.wire.errors import EngineUnavailableError

_SHORTLIST = 512


class Grammar:
    """A grammar and how far a text has got in it."""

    def __init__(self, vocabulary: Vocabulary, text: str) -> None:
        self._vocabulary = vocabulary
        # llama.cpp gives NULL for a grammar that it cannot read, and would crash on using that.
        self._sampler = lib.sampler_init_grammar(vocabulary.handle, text.encode(), b"root")
        if not self._sampler:
            raise EngineUnavailableError("The tools' schemas could not be converted to a grammar for the model")

    def allows(self, token: int) -> bool:
        """Whether the text may go on with this token."""
        one = (TokenData * 1)(TokenData(token, 1.0, 0.0))
        self._apply(one, 1)
        return bool(one[0].logit != -math.inf)

    @property
    def complete(self) -> bool:
        """Whether the text may end here."""
        return any(self.allows(token) for token in self._vocabulary.ends)

    def accept(self, token: int) -> None:
        """Go on by one token. It has to be an allowed one: llama.cpp aborts the process otherwise."""
        lib.sampler_accept(self._sampler, token)

    def masked(self, logits: Logits) -> Logits:
        """The scores of allowed tokens; all others have minus infinity.

        To look at the whole vocabulary takes as long as to compute a token. So the likeliest are looked at first, and if some of them
        are allowed, the rest counts as forbidden: the best allowed token is among them in any case.
        """
        likeliest = np.argpartition(logits, -_SHORTLIST)[-_SHORTLIST:] if len(logits) > _SHORTLIST else _all(logits)
        masked = self._masked_but(likeliest, logits)
        return self._masked_but(_all(logits), logits) if np.isneginf(masked.max()) else masked

    def _masked_but(self, tokens: npt.NDArray[np.intp], logits: Logits) -> Logits:
        """The scores with minus infinity for all but the allowed ones of these tokens."""
        candidates = (TokenData * len(tokens))()
        table: npt.NDArray[Any] = np.ctypeslib.as_array(candidates)
        table["id"] = tokens
        table["logit"] = logits[tokens]
        self._apply(candidates, len(tokens))
        masked: Logits = np.full(len(logits), -np.inf, dtype=np.float32)
        masked[tokens] = table["logit"]
        return masked

    def close(self) -> None:
        """Free it. Harmless when repeated."""
        if self._sampler:
            lib.sampler_free(self._sampler)
            self._sampler = None

    def _apply(self, candidates: Any, size: int) -> None:
        pointer = ctypes.cast(candidates, ctypes.POINTER(TokenData))
        array = TokenDataArray(pointer, size, -1, False)
        lib.sampler_apply(self._sampler, ctypes.byref(array))


def _all(logits: Logits) -> npt.NDArray[np.intp]:
    return np.arange(len(logits))
