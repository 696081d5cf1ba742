"""Messages rendered to tokens through the model's own chat template, so that no content can become a control token.

The template is rendered with a mark in place of each content. Only what stands between the marks is tokenized with control tokens
recognised; contents are tokenized as plain text, and a token in them that is reserved nevertheless (the tokenizer knows user-defined
tokens in any text) is spelt out in characters.
"""

from __future__ import annotations

import datetime
import json
import logging
import secrets
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import jinja2
from jinja2.sandbox import ImmutableSandboxedEnvironment

from analystd.engine.base import Message

logger = logging.getLogger(__name__)

CHATML = (
    "{% for message in messages %}<|im_start|>{{ message['role'] }}\n{{ message['content'] }}<|im_end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)
"""For models whose GGUF has no usable template."""

Turn = dict[str, str]

_THINK = "<think>"


class Tokens(Protocol):
    """What is needed of a vocabulary."""

    bos: int
    eos: int
    adds_bos: bool
    reserved: frozenset[int]

    def tokenize(self, text: str, *, special: bool) -> list[int]:
        """The tokens of a text."""
        ...

    def piece(self, token: int, *, special: bool = False) -> bytes:
        """The bytes of a token."""
        ...


@dataclass(frozen=True)
class Prompt:
    """A rendered conversation: its tokens, and those reserved tokens that the template's own text is made of."""

    tokens: tuple[int, ...]
    structure: frozenset[int]
    """A model that generates one of these begins another turn."""
    opening: str = ""
    """What the template itself put at the reply's beginning: `<think>`, for models that always think first."""


class Renderer:
    """Renders for one model: by its own template, else with the system turn moved into the first question, else as ChatML."""

    def __init__(self, vocabulary: Tokens, template: str | None) -> None:
        self._vocabulary = vocabulary
        self._shapes = [*_shapes(template), (CHATML, _as_they_are)] if template else [(CHATML, _as_they_are)]

    def prompt(self, messages: Sequence[Message]) -> Prompt:
        """The prompt after which the model speaks as the assistant."""
        turns = [Turn(role=message.role, content=message.content) for message in messages]
        for template, arrange in self._shapes[:-1]:
            try:
                return self._render(template, arrange(turns))
            except Exception as exc:
                # A template is foreign code from a file: it may raise anything.
                logger.warning("the model's chat template does not fit %s: %s", [turn["role"] for turn in turns], exc)
        template, arrange = self._shapes[-1]
        return self._render(template, arrange(turns))

    def _render(self, template: str, turns: Sequence[Turn]) -> Prompt:
        nonce = secrets.token_hex(8)
        marks = [f"\ue000{nonce}.{index}\ue001" for index in range(len(turns))]
        marked = [{**turn, "content": mark} for turn, mark in zip(turns, marks, strict=True)]
        rest = _fill(template, marked, self._text_of(self._vocabulary.bos), self._text_of(self._vocabulary.eos))
        tokens: list[int] = []
        structure: set[int] = set()
        for mark, turn in zip(marks, turns, strict=True):
            head, found, rest = rest.partition(mark)
            if not found or mark in rest:
                raise ValueError("it drops, moves or repeats a message")
            markup = self._vocabulary.tokenize(head, special=True)
            structure.update(markup)
            tokens += markup + self._plain(turn["content"])
        markup = self._vocabulary.tokenize(rest, special=True)
        structure.update(markup)
        opening = _THINK if rest.rstrip().endswith(_THINK) else ""
        return Prompt(self._with_bos(tokens + markup), frozenset(structure & self._vocabulary.reserved), opening)

    def _plain(self, text: str) -> list[int]:
        """The tokens of a content, none of them reserved unless it stands for a single character or for white space."""
        tokens: list[int] = []
        for token in self._vocabulary.tokenize(text, special=False):
            tokens += self._spelt_out(token) if token in self._vocabulary.reserved else [token]
        return tokens

    def _spelt_out(self, token: int) -> list[int]:
        piece = self._vocabulary.piece(token, special=True).decode("utf-8", "replace")
        if not piece.strip():
            return [token]
        return [each for character in piece for each in self._vocabulary.tokenize(character, special=False)]

    def _with_bos(self, tokens: list[int]) -> tuple[int, ...]:
        bos = self._vocabulary.bos
        missing = self._vocabulary.adds_bos and bos >= 0 and tokens[:1] != [bos]
        return (bos, *tokens) if missing else tuple(tokens)

    def _text_of(self, token: int) -> str:
        return self._vocabulary.piece(token, special=True).decode("utf-8", "replace") if token >= 0 else ""


def _shapes(template: str) -> list[tuple[str, Callable[[Sequence[Turn]], Sequence[Turn]]]]:
    """The model's template with messages in the forms that templates are known to accept, the most faithful first."""
    faithful = _as_they_are if _knows_tool_role(template) else _tools_as_user
    return [(template, faithful), (template, _system_in_first_question)]


def _knows_tool_role(template: str) -> bool:
    return "'tool'" in template or '"tool"' in template


def _as_they_are(turns: Sequence[Turn]) -> Sequence[Turn]:
    return turns


def _tools_as_user(turns: Sequence[Turn]) -> list[Turn]:
    """For templates that would print the role `tool` although their model was never taught it."""
    return [{**turn, "role": "user"} if turn["role"] == "tool" else turn for turn in turns]


def _system_in_first_question(turns: Sequence[Turn]) -> list[Turn]:
    """For templates that refuse a system turn, or two turns of one role in a row."""
    merged: list[Turn] = []
    for turn in _tools_as_user(turns):
        role = "user" if turn["role"] == "system" else turn["role"]
        if merged and merged[-1]["role"] == role:
            merged[-1] = {"role": role, "content": f"{merged[-1]['content']}\n\n{turn['content']}"}
        else:
            merged.append({"role": role, "content": turn["content"]})
    return merged


def _fill(template: str, turns: Sequence[Turn], bos: str, eos: str) -> str:
    """The template's text for these turns, with what templates expect to find, as Hugging Face's transformers gives it."""
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
