"""Generate one reply: choose each token, hold it to the grammar, decode whole characters, and recognise the end."""

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

# With the following space of our syntax, since `<tool_call>` begins a call in the model's own syntax, which is not constrained.
_CALL = OPENING + " "
_LONGEST_TAG = max(map(len, (_CALL, *THOUGHTS, *THOUGHTS.values())))
# The opening never takes more tokens than it has characters.
_RECENT_TOKENS = len(_CALL)


@dataclass(frozen=True)
class Rules:
    """The constraints of a reply."""

    sample: Sampler
    grammar: str | None = None
    """The grammar of a tool call; None for text only."""
    must_call: bool = False
    """Whether the reply is a call from its first token on; otherwise, it may contain one."""
    turn_tokens: frozenset[int] = frozenset()
    """Tokens that begin another turn, and so end this reply."""
    max_tokens: int = 512
    shown: Mapping[int, bytes] = field(default_factory=dict)
    """The control tokens whose text belongs to the reply (see `shown_tokens`). Others produce no text."""


class Generation:
    """A reply in progress. `advance` adds a token; after the end, `reason` says why it ended."""

    def __init__(self, vocabulary: Vocabulary, rules: Rules, opening: str = "") -> None:
        self.tokens: list[int] = []
        self.reason: Literal["stop", "length"] | None = None
        self._vocabulary = vocabulary
        self._rules = rules
        self._text = opening
        self._characters = codecs.getincrementaldecoder("utf-8")("replace")
        self._recent: deque[tuple[int, bytes]] = deque(maxlen=_RECENT_TOKENS)
        self._opening_watch = OpeningWatch()
        self._grammar: Grammar | None = None
        if rules.grammar is not None and rules.must_call:
            self._grammar = Grammar(vocabulary, grammar_with_root(rules.grammar))

    def advance(self, logits: Logits) -> str:
        """Choose the next token by the scores, and return the whole characters that it completes."""
        token = self._choose(logits)
        if token is None or token in self._vocabulary.ends or token in self._rules.turn_tokens:
            self.reason = "stop"
            return ""
        self.tokens.append(token)
        piece = self._rules.shown.get(token) or self._vocabulary.piece(token)
        text = self._characters.decode(piece)
        self._text += text
        self._start_grammar_if_opened(token, piece)
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
        """Return the next token; None if the grammar allows none."""
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

    def _start_grammar_if_opened(self, token: int, piece: bytes) -> None:
        """Start to hold the reply to the grammar when it has opened a call."""
        if self._grammar is not None or self._rules.grammar is None:
            return
        self._recent.append((token, piece))
        if self._opening_watch.sees_opening(self._text):
            self._grammar = self._grammar_of_opened_call(self._rules.grammar)

    def _grammar_of_opened_call(self, rules: str) -> Grammar | None:
        """Return the grammar after the opening's tokens; None if the text after the opening in its last token is not part of a call."""
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
        """Return the last tokens, starting with the one in which the opening begins."""
        tail: list[tuple[int, bytes]] = []
        for token, piece in reversed(self._recent):
            tail.insert(0, (token, piece))
            if _CALL.encode() in b"".join(piece for _, piece in tail):
                break
        return tail


class OpeningWatch:
    """Looks for the opening of a call in a growing text, outside of the model's thoughts."""

    def __init__(self) -> None:
        self._position = 0
        self._thought_end = ""

    def sees_opening(self, text: str) -> bool:
        """Return whether the text, which is longer at each call, contains an opening since the last one."""
        while True:
            expected = (self._thought_end,) if self._thought_end else (_CALL, *THOUGHTS)
            found = [(at, tag) for tag in expected if (at := text.find(tag, self._position)) >= 0]
            if not found:
                self._position = max(self._position, len(text) - _LONGEST_TAG)
                return False
            at, tag = min(found)
            self._position = at + len(tag)
            if tag == _CALL:
                return True
            self._thought_end = THOUGHTS.get(tag, "")
