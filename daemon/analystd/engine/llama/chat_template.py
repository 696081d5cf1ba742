"""Render messages to tokens with the model's own chat template, so that no content can become a control token.

The template is rendered with a placeholder for each content. Only the text between the placeholders is tokenized with control tokens
recognised. Contents are tokenized as plain text, and a token in them that is reserved nevertheless (the tokenizer recognises user-defined
tokens in any text) is replaced by the tokens of its single characters.
"""

from __future__ import annotations

import contextlib
import datetime
import itertools
import json
import logging
import re
import secrets
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import jinja2
from jinja2.sandbox import ImmutableSandboxedEnvironment

from analystd.engine.base import Message
from analystd.engine.control_tokens import shown_tokens

logger = logging.getLogger(__name__)

CHATML = (
    "{% for message in messages %}<|im_start|>{{ message['role'] }}\n{{ message['content'] }}<|im_end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)
"""The template for models whose GGUF has no usable one."""

Turn = dict[str, str]
Arrange = Callable[[Sequence[Turn]], Sequence[Turn]]

_THINK = "<think>"
_PLACEHOLDER_BEGIN = "\ue000"
_PLACEHOLDER = re.compile(f"({_PLACEHOLDER_BEGIN}[0-9a-f]+\\.[0-9]+\ue001)")
_SEPARATOR = re.compile(r"[<\[|#]\S*?[>\]#:]|[A-Z]\w*:")


class TemplateVocabulary(Protocol):
    """The part of a vocabulary that this module uses."""

    bos: int
    eos: int
    adds_bos: bool
    reserved: frozenset[int]

    def tokenize(self, text: str, *, special: bool) -> list[int]:
        """Return the tokens of a text."""
        ...

    def piece(self, token: int, *, special: bool = False) -> bytes:
        """Return the bytes of a token."""
        ...


@dataclass(frozen=True)
class Prompt:
    """A rendered conversation: its tokens, and the reserved tokens in the template's own text."""

    tokens: tuple[int, ...]
    structure: frozenset[int]
    """A model that generates one of these tokens begins another turn."""
    common: int = 0
    """How many of the tokens belong to the common messages, with the markup up to the content of the next message."""
    opening: str = ""
    """The text that the template puts at the beginning of the reply: `<think>` for models that always think first."""


class Renderer:
    """Renders messages for one model: with its own template, else with the system turn merged into the first question, else as ChatML."""

    def __init__(self, vocabulary: TemplateVocabulary, template: str | None) -> None:
        self._vocabulary = vocabulary
        self.shown = shown_tokens(vocabulary)
        """The control tokens whose text belongs to a reply. They begin no turn, even if a template writes them."""
        self._logged: set[str] = set()
        self._layouts = [*_layouts(template), (CHATML, _unchanged)] if template else [(CHATML, _unchanged)]

    def prompt(self, messages: Sequence[Message], common: int = 0) -> Prompt:
        """Return the prompt for a reply of the assistant; the first `common` messages are shared with other conversations."""
        turns = [Turn(role=message.role, content=message.content) for message in messages]
        for template, arrange in self._layouts[:-1]:
            try:
                return self._render(template, arrange(turns), _arranged(arrange, turns, common))
            except Exception as exc:
                # A template is foreign code from a file: it may raise anything.
                self._log_once(f"{type(exc).__name__}: {exc}"[:300])
        template, arrange = self._layouts[-1]
        return self._render(template, arrange(turns), _arranged(arrange, turns, common))

    def _render(self, template: str, turns: Sequence[Turn], common: int) -> Prompt:
        heads = self._heads(template, turns)
        *before, after = [self._vocabulary.tokenize(head, special=True) for head in heads]
        separators = (
            None if self._have_control_tokens([*before[1:], after]) else self._textual_separators(template, heads)
        )
        tokens: list[int] = []
        ends_of_markup: list[int] = []
        for markup, turn in zip(before, turns, strict=True):
            tokens += markup
            ends_of_markup.append(len(tokens))
            tokens += self._plain(turn["content"], separators)
        structure = self._structure(*before, after)
        opening = _THINK if heads[-1].rstrip().endswith(_THINK) else ""
        complete = self._with_bos(tokens + after)
        added = len(complete) - len(tokens) - len(after)
        length = ends_of_markup[common] + added if 0 < common < len(turns) else 0
        return Prompt(complete, structure, length, opening)

    def _heads(self, template: str, turns: Sequence[Turn]) -> list[str]:
        """Return the text that the template writes before each turn's content, and after the last one.

        Raises:
            ValueError: when the template does not write each content once, whole and in order.
        """
        nonce = secrets.token_hex(8)
        placeholders = [f"{_PLACEHOLDER_BEGIN}{nonce}.{index}\ue001" for index in range(len(turns))]
        filled_in = [{**turn, "content": placeholder} for turn, placeholder in zip(turns, placeholders, strict=True)]
        text = _fill(template, filled_in, self._text_of(self._vocabulary.bos), self._text_of(self._vocabulary.eos))
        parts = _PLACEHOLDER.split(text)
        if parts[1::2] != placeholders or text.count(_PLACEHOLDER_BEGIN) != len(placeholders):
            raise ValueError("the template drops, moves, repeats or changes a message")
        return parts[::2]

    def _textual_separators(self, template: str, heads: Sequence[str]) -> re.Pattern[str] | None:
        """Return a pattern for the texts that separate messages where the template uses no control tokens, such as `[INST]` or `USER:`.

        Where a content contains them, they are tokenized by single characters, so that their tokens differ from the template's.
        """
        separators = {separator for head in heads for separator in _SEPARATOR.findall(head)}
        # Content could also forge a role that does not occur yet.
        for role in ("system", "user", "assistant", "tool"):
            with contextlib.suppress(Exception):
                separators.update(
                    separator
                    for head in self._heads(template, [Turn(role=role)])
                    for separator in _SEPARATOR.findall(head)
                )
        longest_first = sorted(separators, key=len, reverse=True)
        return re.compile(f"({'|'.join(map(re.escape, longest_first))})") if separators else None

    def _structure(self, *markups: Sequence[int]) -> frozenset[int]:
        """Return the control tokens in the template's own text that begin a turn."""
        return self._vocabulary.reserved.intersection(itertools.chain(*markups)).difference(self.shown)

    def _have_control_tokens(self, markups: Sequence[Sequence[int]]) -> bool:
        """Return whether each markup has a token that no content can have."""
        return not any(self._vocabulary.reserved.isdisjoint(markup) for markup in markups)

    def _log_once(self, reason: str) -> None:
        """Log once for each reason why a template cannot be used unchanged."""
        if reason not in self._logged:
            self._logged.add(reason)
            logger.warning("the model's chat template cannot be used unchanged, trying another form: %s", reason)

    def _plain(self, text: str, separators: re.Pattern[str] | None) -> list[int]:
        """Return the tokens of a content, none of them reserved unless it stands for a single character or for white space."""
        tokens: list[int] = []
        for index, part in enumerate(separators.split(text) if separators else [text]):
            if index % 2:
                tokens += self._characters(part)
                continue
            for token in self._vocabulary.tokenize(part, special=False):
                tokens += self._spelled_out(token) if token in self._vocabulary.reserved else [token]
        return tokens

    def _characters(self, text: str) -> list[int]:
        return [token for character in text for token in self._vocabulary.tokenize(character, special=False)]

    def _spelled_out(self, token: int) -> list[int]:
        piece = self._vocabulary.piece(token, special=True).decode("utf-8", "replace")
        if not piece.strip():
            return [token]
        return self._characters(piece)

    def _with_bos(self, tokens: list[int]) -> tuple[int, ...]:
        bos = self._vocabulary.bos
        missing = self._vocabulary.adds_bos and bos >= 0 and tokens[:1] != [bos]
        return (bos, *tokens) if missing else tuple(tokens)

    def _text_of(self, token: int) -> str:
        return self._vocabulary.piece(token, special=True).decode("utf-8", "replace") if token >= 0 else ""


def _layouts(template: str) -> list[tuple[str, Arrange]]:
    """Return the template with the message layouts that templates are known to accept, the most faithful first."""
    faithful = _unchanged if _knows_tool_role(template) else _tools_as_user
    return [(template, faithful), (template, _system_in_first_question)]


def _arranged(arrange: Arrange, turns: Sequence[Turn], common: int) -> int:
    """Return how many turns the first `common` ones become; 0 if one of them is merged with a later turn."""
    alone = arrange(turns[:common])
    return len(alone) if list(arrange(turns)[: len(alone)]) == list(alone) else 0


def _knows_tool_role(template: str) -> bool:
    return "'tool'" in template or '"tool"' in template


def _unchanged(turns: Sequence[Turn]) -> Sequence[Turn]:
    return turns


def _tools_as_user(turns: Sequence[Turn]) -> list[Turn]:
    """Rename the role `tool`, for templates that would print it although their model was never trained on it."""
    return [{**turn, "role": "user"} if turn["role"] == "tool" else turn for turn in turns]


def _system_in_first_question(turns: Sequence[Turn]) -> list[Turn]:
    """Merge turns, for templates that reject a system turn or two turns of one role in a row."""
    merged: list[Turn] = []
    for turn in _tools_as_user(turns):
        role = "user" if turn["role"] == "system" else turn["role"]
        if merged and merged[-1]["role"] == role:
            merged[-1] = {"role": role, "content": f"{merged[-1]['content']}\n\n{turn['content']}"}
        else:
            merged.append({"role": role, "content": turn["content"]})
    return merged


def _fill(template: str, turns: Sequence[Turn], bos: str, eos: str) -> str:
    """Render the template for these turns, with the globals and filters that Hugging Face's transformers provides."""
    environment = ImmutableSandboxedEnvironment(
        trim_blocks=True, lstrip_blocks=True, extensions=["jinja2.ext.loopcontrols"]
    )
    environment.filters["tojson"] = _tojson
    environment.globals.update(raise_exception=_raise_exception, strftime_now=_strftime_now)
    return environment.from_string(template).render(
        messages=turns, bos_token=bos, eos_token=eos, add_generation_prompt=True, tools=None, documents=None
    )


def _tojson(value: Any, indent: int | None = None, **_: Mapping[str, Any]) -> str:
    return json.dumps(value, ensure_ascii=False, indent=indent)


def _raise_exception(message: str) -> None:
    raise jinja2.TemplateError(message)


def _strftime_now(form: str) -> str:
    return datetime.datetime.now().astimezone().strftime(form)
