"""Messages rendered to tokens through the model's own chat template, so that no content can become a control token.

The template is rendered with a mark in place of each content. Only what stands between the marks is tokenized with control tokens
recognised; contents are tokenized as plain text, and a token in them that is reserved nevertheless (the tokenizer knows user-defined
tokens in any text) is spelt out in characters.
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
"""For models whose GGUF has no usable template."""

Turn = dict[str, str]
Arrange = Callable[[Sequence[Turn]], Sequence[Turn]]

_THINK = "<think>"
_MARK_BEGIN = "\ue000"
_MARK = re.compile(f"({_MARK_BEGIN}[0-9a-f]+\\.[0-9]+\ue001)")
_SIGN = re.compile(r"[<\[|#]\S*?[>\]#:]|[A-Z]\w*:")


class TemplateVocabulary(Protocol):
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
    common: int = 0
    """How many of the tokens are those of the messages that were said to be common, with the markup up to the next one's content."""
    opening: str = ""
    """What the template itself put at the reply's beginning: `<think>`, for models that always think first."""


class Renderer:
    """Renders for one model: by its own template, else with the system turn moved into the first question, else as ChatML."""

    def __init__(self, vocabulary: TemplateVocabulary, template: str | None) -> None:
        self._vocabulary = vocabulary
        self.shown = shown_tokens(vocabulary)
        """The control tokens whose text belongs to a reply; they begin no turn, though a template may write them."""
        self._refusals: set[str] = set()
        self._shapes = [*_shapes(template), (CHATML, _as_they_are)] if template else [(CHATML, _as_they_are)]

    def prompt(self, messages: Sequence[Message], common: int = 0) -> Prompt:
        """The prompt after which the model speaks as the assistant; the first `common` messages are those of other conversations too."""
        turns = [Turn(role=message.role, content=message.content) for message in messages]
        for template, arrange in self._shapes[:-1]:
            try:
                return self._render(template, arrange(turns), _arranged(arrange, turns, common))
            except Exception as exc:
                # A template is foreign code from a file: it may raise anything.
                self._tell(f"{type(exc).__name__}: {exc}"[:300])
        template, arrange = self._shapes[-1]
        return self._render(template, arrange(turns), _arranged(arrange, turns, common))

    def _render(self, template: str, turns: Sequence[Turn], common: int) -> Prompt:
        heads = self._heads(template, turns)
        *before, after = [self._vocabulary.tokenize(head, special=True) for head in heads]
        signs = None if self._have_control_tokens([*before[1:], after]) else self._textual_signs(template, heads)
        tokens: list[int] = []
        ends_of_markup: list[int] = []
        for markup, turn in zip(before, turns, strict=True):
            tokens += markup
            ends_of_markup.append(len(tokens))
            tokens += self._plain(turn["content"], signs)
        structure = self._structure(*before, after)
        opening = _THINK if heads[-1].rstrip().endswith(_THINK) else ""
        complete = self._with_bos(tokens + after)
        added = len(complete) - len(tokens) - len(after)
        length = ends_of_markup[common] + added if 0 < common < len(turns) else 0
        return Prompt(complete, structure, length, opening)

    def _heads(self, template: str, turns: Sequence[Turn]) -> list[str]:
        """What the template writes before each turn's content, and after the last.

        Raises:
            ValueError: when it does not write each content once, whole and in order.
        """
        nonce = secrets.token_hex(8)
        marks = [f"{_MARK_BEGIN}{nonce}.{index}\ue001" for index in range(len(turns))]
        marked = [{**turn, "content": mark} for turn, mark in zip(turns, marks, strict=True)]
        text = _fill(template, marked, self._text_of(self._vocabulary.bos), self._text_of(self._vocabulary.eos))
        parts = _MARK.split(text)
        if parts[1::2] != marks or text.count(_MARK_BEGIN) != len(marks):
            raise ValueError("it drops, moves, repeats or changes a message")
        return parts[::2]

    def _textual_signs(self, template: str, heads: Sequence[str]) -> re.Pattern[str] | None:
        """The texts by which a template parts messages where it has no control tokens for that, such as `[INST]` or `USER:`.

        A content that has them is spelt out there, so that its tokens are others than the template's.
        """
        signs = {sign for head in heads for sign in _SIGN.findall(head)}
        # A role that has not spoken yet could be forged too.
        for role in ("system", "user", "assistant", "tool"):
            with contextlib.suppress(Exception):
                signs.update(sign for head in self._heads(template, [Turn(role=role)]) for sign in _SIGN.findall(head))
        longest_first = sorted(signs, key=len, reverse=True)
        return re.compile(f"({'|'.join(map(re.escape, longest_first))})") if signs else None

    def _structure(self, *markups: Sequence[int]) -> frozenset[int]:
        """The control tokens in the template's own text that mean a turn."""
        return self._vocabulary.reserved.intersection(itertools.chain(*markups)).difference(self.shown)

    def _have_control_tokens(self, markups: Sequence[Sequence[int]]) -> bool:
        """Whether each has a token that no content can have."""
        return not any(self._vocabulary.reserved.isdisjoint(markup) for markup in markups)

    def _tell(self, refusal: str) -> None:
        """Log, once each, why a template is not used as it is."""
        if refusal not in self._refusals:
            self._refusals.add(refusal)
            logger.warning("the model's chat template cannot be used as it is, another form is tried: %s", refusal)

    def _plain(self, text: str, signs: re.Pattern[str] | None) -> list[int]:
        """The tokens of a content, none of them reserved unless it stands for a single character or for white space."""
        tokens: list[int] = []
        for index, part in enumerate(signs.split(text) if signs else [text]):
            if index % 2:
                tokens += self._characters(part)
                continue
            for token in self._vocabulary.tokenize(part, special=False):
                tokens += self._spelt_out(token) if token in self._vocabulary.reserved else [token]
        return tokens

    def _characters(self, text: str) -> list[int]:
        return [token for character in text for token in self._vocabulary.tokenize(character, special=False)]

    def _spelt_out(self, token: int) -> list[int]:
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


def _shapes(template: str) -> list[tuple[str, Arrange]]:
    """The model's template with messages in the forms that templates are known to accept, the most faithful first."""
    faithful = _as_they_are if _knows_tool_role(template) else _tools_as_user
    return [(template, faithful), (template, _system_in_first_question)]


def _arranged(arrange: Arrange, turns: Sequence[Turn], common: int) -> int:
    """How many turns the first `common` ones become; 0 if one of them is merged with what comes after them."""
    alone = arrange(turns[:common])
    return len(alone) if list(arrange(turns)[: len(alone)]) == list(alone) else 0


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
