"""Name the control tokens that models write around thoughts and calls, for the worker that shows them and the parser that reads them.

Each stands in the chat template of the model family that it belongs to.
"""

from __future__ import annotations

import re
from typing import Protocol

THOUGHTS = {
    # Qwen 3, DeepSeek R1, GLM 4.5 and most other reasoning models.
    "<think>": "</think>",
    # Magistral.
    "[THINK]": "[/THINK]",
    # gpt-oss.
    "<|channel|>analysis<|message|>": "<|end|>",
}
"""Maps the beginning of a thought to its end."""

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
"""The control tokens that are part of a thought or a call. Their text belongs to the reply, and they do not end the turn."""

HARMONY_TURNS = frozenset({"<|start|>", "<|end|>"})
"""The tokens that separate the messages of one reply of gpt-oss. In other models, `<|end|>` ends the reply."""
HARMONY_SIGN = "<|channel|>"

_THOUGHT = re.compile(
    "|".join(rf"{re.escape(opening)}.*?(?:{re.escape(closing)}|\Z)" for opening, closing in THOUGHTS.items()), re.DOTALL
)
_HARMONY = re.compile(r"(?:<\|start\|>assistant)?(?:<\|channel\|>(?:final|commentary)\s*<\|message\|>)|<\|end\|>")


class ControlVocabulary(Protocol):
    """The part of a vocabulary that this module uses."""

    reserved: frozenset[int]

    def piece(self, token: int, *, special: bool = False) -> bytes:
        """Return the bytes of a token."""
        ...


def shown_tokens(vocabulary: ControlVocabulary) -> dict[int, bytes]:
    """Return the reserved tokens whose text belongs to a reply, with that text, so that calls in the model's own syntax can be parsed."""
    texts = {token: vocabulary.piece(token, special=True) for token in vocabulary.reserved}
    shown = SHOWN | HARMONY_TURNS if HARMONY_SIGN.encode() in texts.values() else SHOWN
    return {token: text for token, text in texts.items() if text.decode("utf-8", "replace") in shown}


def without_thoughts(text: str) -> str:
    """Return a reply without the model's thoughts, and without the separators between the messages of a gpt-oss reply."""
    spoken = _THOUGHT.sub("", text)
    return (_HARMONY.sub("", spoken) if HARMONY_SIGN in text else spoken).strip()
