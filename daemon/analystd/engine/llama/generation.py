"""One reply as it grows: each token chosen and held to the grammar, its bytes turned into whole characters, its end recognised."""

from __future__ import annotations

import codecs
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

import numpy as np

from analystd.engine.control_tokens import THOUGHTS
from analystd.engine.llama.constrained_sampling import Grammar
from analystd.engine.llama.grammar import CLOSING, OPENING, grammar_with_root
from analystd.engine.llama.llama_model import Logits, Vocabulary
from analystd.engine.llama.sampling import Sampler

# With what follows it in our syntax: `<tool_call>` begins a call in a syntax of the model's own, which is left to the model.
_CALL = OPENING + " "
_LONGEST_MARK = max(map(len, (_CALL, *THOUGHTS, *THOUGHTS.values())))
# The opening is never spread over more tokens than it has characters.
_TOKENS_REMEMBERED = len(_CALL)


@dataclass(frozen=True)
class Rules:
    """What a reply is held to."""

    sample: Sampler
    grammar: str | None = None
    """The grammar of a tool call; None: text only."""
    must_call: bool = False
    """Whether the reply is a call from its first token on, or may become one."""
    turn_tokens: frozenset[int] = frozenset()
    """Tokens that begin another turn, and thereby end this one."""
    max_tokens: int = 512
    shown: Mapping[int, bytes] = field(default_factory=dict)
    """The control tokens that are text of the reply, see `shown_tokens`; others are not seen."""


class Generation:
    """A reply under way. `advance` adds a token; `reason` says why it ended, once it has."""

    def __init__(self, vocabulary: Vocabulary, rules: Rules, opening: str = "") -> None:
        self.tokens: list[int] = []
        self.reason: Literal["stop", "length"] | None = None
        self._vocabulary = vocabulary
        self._rules = rules
        self._text = opening
        self._characters = codecs.getincrementaldecoder("utf-8")("replace")
        self._recent: deque[tuple[int, bytes]] = deque(maxlen=_TOKENS_REMEMBERED)
        self._watch = OpeningWatch()
        self._grammar: Grammar | None = None
        if rules.grammar is not None and rules.must_call:
            self._grammar = Grammar(vocabulary, grammar_with_root(rules.grammar))

    def advance(self, logits: Logits) -> str:
        """Choose the next token by the scores; gives the whole characters that it completes."""
        token = self._choose(logits)
        if token is None or token in self._vocabulary.ends or token in self._rules.turn_tokens:
            self.reason = "stop"
            return ""
        self.tokens.append(token)
        piece = self._rules.shown.get(token) or self._vocabulary.piece(token)
        text = self._characters.decode(piece)
        self._text += text
        self._follow(token, piece)
        if self._grammar is not None and self._text.endswith(CLOSING) and self._grammar.complete:
            self.reason = "stop"
        elif len(self.tokens) >= self._rules.max_tokens:
            self.reason = "length"
        return text

    def close(self) -> None:
        """Free the grammar. Harmless when repeated."""
        if self._grammar is not None:
            self._grammar.close()
            self._grammar = None

    def _choose(self, logits: Logits) -> int | None:
        """The next token; None if the grammar leaves none."""
        token = self._rules.sample(logits)
        if self._grammar is None:
            return token
        if not self._grammar.allows(token):
            masked = self._grammar.masked(logits)
            if np.isneginf(masked.max()):
                return None
            token = self._rules.sample(masked)
        if token not in self._vocabulary.ends:
            self._grammar.accept(token)
        return token

    def _follow(self, token: int, piece: bytes) -> None:
        """Begin to hold the reply to the grammar when a call has been opened."""
        if self._grammar is not None or self._rules.grammar is None:
            return
        self._recent.append((token, piece))
        if self._watch.sees_opening(self._text):
            self._grammar = self._grammar_of_opened_call(self._rules.grammar)

    def _grammar_of_opened_call(self, rules: str) -> Grammar | None:
        """The grammar, with the opening's tokens accepted; None if what followed the opening in its last token is no call."""
        tokens, pieces = zip(*self._since_opening(), strict=True)
        before, _, _ = b"".join(pieces).partition(_CALL.encode())
        try:
            grammar = Grammar(self._vocabulary, grammar_with_root(rules, before.decode()))
        except UnicodeDecodeError:
            return None
        for token in tokens:
            if not grammar.allows(token):
                grammar.close()
                return None
            grammar.accept(token)
        return grammar

    def _since_opening(self) -> list[tuple[int, bytes]]:
        """The last tokens, from the one in which the opening begins."""
        tail: list[tuple[int, bytes]] = []
        for token, piece in reversed(self._recent):
            tail.insert(0, (token, piece))
            if _CALL.encode() in b"".join(piece for _, piece in tail):
                break
        return tail


class OpeningWatch:
    """Looks for the opening of a call in a growing text, outside of what the model only thinks."""

    def __init__(self) -> None:
        self._position = 0
        self._thought_end = ""

    def sees_opening(self, text: str) -> bool:
        """Whether the text, of which more is there at each call, has come to an opening since the last one."""
        while True:
            awaited = (self._thought_end,) if self._thought_end else (_CALL, *THOUGHTS)
            found = [(at, tag) for tag in awaited if (at := text.find(tag, self._position)) >= 0]
            if not found:
                self._position = max(self._position, len(text) - _LONGEST_MARK)
                return False
            at, tag = min(found)
            self._position = at + len(tag)
            if tag == _CALL:
                return True
            self._thought_end = THOUGHTS.get(tag, "")
