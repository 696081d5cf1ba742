"""Markup that models write around their thoughts and calls: what the worker shows of their control tokens, and the agent's parser reads.

Each is named in the chat template of the family it belongs to.
"""

from __future__ import annotations

import re
from typing import Protocol

THOUGHTS = {
    # Qwen 3, DeepSeek R1, GLM 4.5 and most others that think aloud.
    "<think>": "</think>",
    # Magistral.
    "[THINK]": "[/THINK]",
    # gpt-oss.
    "<|channel|>analysis<|message|>": "<|end|>",
}
"""What begins a thought, and what ends it."""

SHOWN = frozenset(
    {
        *("<think>", "</think>", "[THINK]", "[/THINK]"),
        # Hermes, Qwen, GLM.
        *("<tool_call>", "</tool_call>", "<arg_key>", "</arg_key>", "<arg_value>", "</arg_value>"),
        # Llama 3.
        "<|python_tag|>",
        # Mistral.
        *("[TOOL_CALLS]", "[ARGS]", "[CALL_ID]"),
        # DeepSeek.
        *(
            "<｜tool▁calls▁begin｜>",
            "<｜tool▁calls▁end｜>",
            "<｜tool▁call▁begin｜>",
            "<｜tool▁call▁end｜>",
            "<｜tool▁sep｜>",
        ),
        # Granite.
        "<|tool_call|>",
        # gpt-oss.
        *("<|channel|>", "<|message|>", "<|constrain|>"),
    }
)
"""The control tokens that are part of a thought or a call: their text belongs to the reply, and they end no turn."""

HARMONY_TURNS = frozenset({"<|start|>", "<|end|>"})
"""In gpt-oss these part the messages of one reply. Elsewhere `<|end|>` ends the reply."""
HARMONY_SIGN = "<|channel|>"

_THOUGHT = re.compile(
    "|".join(rf"{re.escape(opening)}.*?(?:{re.escape(closing)}|\Z)" for opening, closing in THOUGHTS.items()), re.DOTALL
)
_HARMONY = re.compile(r"(?:<\|start\|>assistant)?(?:<\|channel\|>(?:final|commentary)\s*<\|message\|>)|<\|end\|>")


class ControlVocabulary(Protocol):
    """What is needed of a vocabulary."""

    reserved: frozenset[int]

    def piece(self, token: int, *, special: bool = False) -> bytes:
        """The bytes of a token."""
        ...


def shown_tokens(vocabulary: ControlVocabulary) -> dict[int, bytes]:
    """The reserved tokens whose text belongs to a reply, with it: without it a call in the model's own syntax could not be read."""
    texts = {token: vocabulary.piece(token, special=True) for token in vocabulary.reserved}
    shown = SHOWN | HARMONY_TURNS if HARMONY_SIGN.encode() in texts.values() else SHOWN
    return {token: text for token, text in texts.items() if text.decode("utf-8", "replace") in shown}


def without_thoughts(text: str) -> str:
    """A reply without what the model only thought, and without the marks between the messages of a gpt-oss reply."""
    spoken = _THOUGHT.sub("", text)
    return (_HARMONY.sub("", spoken) if HARMONY_SIGN in text else spoken).strip()
