"""Constrain generated tokens to a grammar at little cost: check the one sampled token, and mask the others only when it is not allowed.

A grammar in llama.cpp's sampler chain checks every token of the vocabulary at each step, which halves the speed.
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
    """A grammar, and the state after the tokens that it has accepted."""

    def __init__(self, vocabulary: Vocabulary, text: str) -> None:
        self._vocabulary = vocabulary
        # llama.cpp returns NULL for a grammar that it cannot parse, and would crash on using that.
        self._sampler = lib.sampler_init_grammar(vocabulary.handle, text.encode(), b"root")
        if not self._sampler:
            raise EngineUnavailableError("The tools' schemas could not be converted to a grammar for the model")

    def allows(self, token: int) -> bool:
        """Return whether the text may continue with this token."""
        candidate = (TokenData * 1)(TokenData(token, 1.0, 0.0))
        self._apply(candidate, 1)
        return bool(candidate[0].logit != -math.inf)

    @property
    def complete(self) -> bool:
        """Whether the text may end here."""
        return any(self.allows(token) for token in self._vocabulary.ends)

    def accept(self, token: int) -> None:
        """Advance by one token, which must be allowed: otherwise llama.cpp aborts the process."""
        lib.sampler_accept(self._sampler, token)

    def masked(self, logits: Logits) -> Logits:
        """Return the scores with minus infinity for all tokens that are not allowed.

        To check the whole vocabulary takes as long as to compute a token. So the most likely tokens are checked first, and if some of them
        are allowed, all others count as forbidden: the best allowed token is among the checked ones in any case.
        """
        likeliest = np.argpartition(logits, -_SHORTLIST)[-_SHORTLIST:] if len(logits) > _SHORTLIST else _all(logits)
        masked = self._masked_except(likeliest, logits)
        return self._masked_except(_all(logits), logits) if np.isneginf(masked.max()) else masked

    def _masked_except(self, tokens: npt.NDArray[np.intp], logits: Logits) -> Logits:
        """Return the scores with minus infinity for all but the allowed ones of these tokens."""
        candidates = (TokenData * len(tokens))()
        table: npt.NDArray[Any] = np.ctypeslib.as_array(candidates)
        table["id"] = tokens
        table["logit"] = logits[tokens]
        self._apply(candidates, len(tokens))
        masked: Logits = np.full(len(logits), -np.inf, dtype=np.float32)
        masked[tokens] = table["logit"]
        return masked

    def close(self) -> None:
        """Free the grammar. Harmless when repeated."""
        if self._sampler:
            lib.sampler_free(self._sampler)
            self._sampler = None

    def _apply(self, candidates: Any, size: int) -> None:
        pointer = ctypes.cast(candidates, ctypes.POINTER(TokenData))
        array = TokenDataArray(pointer, size, -1, False)
        lib.sampler_apply(self._sampler, ctypes.byref(array))


def _all(logits: Logits) -> npt.NDArray[np.intp]:
    return np.arange(len(logits))
