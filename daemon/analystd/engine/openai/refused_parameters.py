"""Recognise what a model server rejects in a request: a parameter, tools, a model's name, or a prompt that is too long.

Servers word this in many ways. A reference to a field comes first (OpenAI's `param`, the `loc` of pydantic and so of vLLM, Mistral and
FastAPI, Azure's `#/name`); without one, a name in the sentence counts. The tests contain the wordings.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

OPTIONAL = ("temperature", "seed", "stream_options")
"""Parameters that a request can omit."""
LIMITS = ("max_tokens", "max_completion_tokens")
"""The two names of the limit of a reply. Newer models of OpenAI and Azure accept only the second one, most servers only the first."""

_QUOTE = r"[\\'\"`]*"
_POINTERS = (
    re.compile(rf"\bparam{_QUOTE}\s*:\s*\\*['\"]([\w.\[\]]{{1,100}})"),
    re.compile(rf"\bloc{_QUOTE}\s*:\s*[\[(]([^\])]{{1,300}})[\])]"),
    re.compile(r"#/([\w/]{1,100})"),
)
_WORD = re.compile(r"\w+")
_TOOLS = re.compile(r"\b(?:tools?|tool_choice|tool_calls?|functions?|function_call)\b", re.IGNORECASE)
_CONTEXT = re.compile(
    r"context[ _-]{0,3}(?:length|size|window)|\bn_ctx\b|prompt is too long|too many tokens|reduce the length",
    re.IGNORECASE,
)
_WINDOWS = (
    re.compile(rf"\bn_ctx{_QUOTE}\s*:\s*(\d{{1,9}})"),
    re.compile(r"context[ _-]{0,3}(?:length|size|window)\D{0,60}?(\d{3,9})", re.IGNORECASE),
    re.compile(r"too long: \d{1,9} tokens > (\d{1,9})"),
)
_PROMPTS = (
    re.compile(rf"\bn_prompt_tokens{_QUOTE}\s*:\s*(\d{{1,9}})"),
    re.compile(r"\b(\d{1,9}) in the messages"),
    re.compile(r"\b(\d{1,9}) input tokens"),
    re.compile(r"(?:resulted in|too long:|request \(|requested tokens \() ?(\d{1,9})", re.IGNORECASE),
)
_MOST_TOKENS = re.compile(
    rf"\b(?:{'|'.join(LIMITS)})\b.{{0,120}}?(?:at most|no more than|less than or equal to|<=)\D{{0,20}}(\d{{1,9}})",
    re.DOTALL,
)
_NO_MODEL = re.compile(
    r"model_not_found|invalid model|\bmodel\b.{0,200}(?:not found|not exist|not available)", re.IGNORECASE
)


@dataclass(frozen=True)
class Refusal:
    """A server's answer to a rejected request: the beginning of its text, unchanged."""

    text: str

    @property
    def parameters(self) -> tuple[str, ...]:
        """The rejected parameters, out of those that a request can omit or rename."""
        named = self._referenced() or set(_WORD.findall(self.text))
        return tuple(name for name in (*OPTIONAL, *LIMITS) if name in named)

    @property
    def names_nothing(self) -> bool:
        """Whether it may concern any parameter: it references no field, and names no parameter."""
        return not self._referenced() and not self.parameters

    @property
    def is_about_tools(self) -> bool:
        """Whether it concerns tools and not a parameter."""
        pointed = any(_TOOLS.fullmatch(name) for name in self._referenced())
        return pointed or (self.names_nothing and _TOOLS.search(self.text) is not None)

    @property
    def is_about_length(self) -> bool:
        """Whether the prompt does not fit the context window."""
        return _CONTEXT.search(self.text) is not None

    @property
    def is_about_model(self) -> bool:
        """Whether the server has no model of that name."""
        return not self.parameters and _NO_MODEL.search(self.text) is not None

    @property
    def is_about_request(self) -> bool:
        """Whether it names a part of the request, and so is not a failure of the server."""
        return bool(self.parameters) or self.is_about_tools or self.is_about_length

    @property
    def window(self) -> int | None:
        """The context window, if the server reports it."""
        return _first_number(_WINDOWS, self.text)

    @property
    def prompt_tokens(self) -> int | None:
        """The number of tokens of the prompt, if the server reports it."""
        return _first_number(_PROMPTS, self.text)

    @property
    def most_tokens(self) -> int | None:
        """The largest limit of a reply that the server accepts, if it reports it."""
        return _first_number((_MOST_TOKENS,), self.text)

    def _referenced(self) -> set[str]:
        found = (found for pattern in _POINTERS for found in pattern.finditer(self.text))
        return {word for each in found for word in _WORD.findall(each[1])}


class Parameters:
    """The parameters that a server accepts for a model, as far as its errors have shown."""

    def __init__(self) -> None:
        self._limit: str | None = LIMITS[0]
        self._most_tokens: int | None = None
        self._left_out: set[str] = set()
        self._guessed: str | None = None

    def of(self, *, max_tokens: int, temperature: float, seed: int) -> dict[str, Any]:
        """Return these parameters as they are to be sent, under the names that the server accepts."""
        optional = {"temperature": temperature, "seed": seed, "stream_options": {"include_usage": True}}
        parameters = {name: value for name, value in optional.items() if name not in {*self._left_out, self._guessed}}
        if self._limit is not None:
            parameters[self._limit] = max_tokens if self._most_tokens is None else min(max_tokens, self._most_tokens)
        return parameters

    def adapt(self, refusal: Refusal) -> bool:
        """Omit or rename the parameters that a refusal concerns in later requests. Returns False if that changes nothing.

        A refusal that names nothing may concern `stream_options`, which the fewest servers support. They are omitted for one attempt, and in later
        requests only if the server accepts that one (`keep_guess`).
        """
        if refusal.is_about_length or refusal.is_about_tools or refusal.is_about_model:
            return False
        if (most := refusal.most_tokens) is not None:
            is_less = self._most_tokens is None or most < self._most_tokens
            self._most_tokens = most if is_less else self._most_tokens
            return is_less
        named = refusal.parameters
        changed = self._leave_out({name for name in named if name in OPTIONAL})
        if self._limit is not None and self._limit in named:
            following = LIMITS.index(self._limit) + 1
            self._limit = LIMITS[following] if following < len(LIMITS) else None
            changed = True
        if refusal.names_nothing and self._guessed is None and "stream_options" not in self._left_out:
            self._guessed = "stream_options"
            changed = True
        return changed

    def keep_guess(self) -> None:
        """Keep omitting the guessed parameter: the server accepted the request without it."""
        self._left_out |= {self._guessed} if self._guessed is not None else set()
        self._guessed = None

    def drop_guess(self) -> None:
        """Send the guessed parameter again: the refusal did not concern it."""
        self._guessed = None

    def _leave_out(self, names: set[str]) -> bool:
        fresh = names - self._left_out
        self._left_out |= fresh
        return bool(fresh)


def _first_number(patterns: tuple[re.Pattern[str], ...], text: str) -> int | None:
    found = next((found for pattern in patterns if (found := pattern.search(text))), None)
    return None if found is None else int(found[1]) or None
