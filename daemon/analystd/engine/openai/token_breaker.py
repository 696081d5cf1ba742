"""Text on its way to a model server, in which nothing is a control token: how control tokens are spelt is broken, and mended in what comes back.

A server turns a whole conversation into tokens at once, so that `<|im_start|>` in a cell or in a program's output would begin another
turn. Which model it has is not known, so the spellings of all families are broken, by an invisible character after the first one (U+2060,
"word joiner", which no tokenizer takes away). Where a text has that character itself it is doubled, so that `Mender` gives back
exactly what was meant, should the model repeat it.
"""

from __future__ import annotations

import re
from typing import Any

JOINER = "\u2060"

_NAMES = "|".join(
    (
        "s|bos|eos|pad|unk|mask|cls|sep|sop|eop|eod|eot|eom|bom|eoh|eoa|pre|suf|mid|prefix|suffix|middle|reponame|filename",
        "think|thinking|thought|answer|functions?|role|user|human|bot|ai|assistant|system|instruct|instruction",
        r"image|img|audio|video|box|ref|quad|point|(?:unused|reserved|extra|special)\d{0,6}|用户",
    )
)
_BRACKETED = "|".join(
    (
        "INST|BOS|EOS|PAD|UNK|MASK|CLS|SEP|EOT|EOD|EOM|THINK|ARGS|IMG|AUDIO|PREFIX|SUFFIX|MIDDLE|gMASK|sMASK|sop|eop",
        r"[A-Z]{1,30}_[A-Z_]{1,30}|(?:unused|control_)\d{1,6}",
    )
)
_ROLES = "user|assistant|system|human"

_SIGN = re.compile(
    "|".join(
        (
            # ChatML, Llama 3 and 4, Phi, GLM, Granite, Command R, gpt-oss, DeepSeek, EXAONE.
            r"[<＜\[](?=[|｜])",
            # Gemma 4: <turn|>.
            r"<(?=/?[\w\"]{1,60}[|｜][>＞])",
            # Gemma, Hermes, Qwen, Nemotron, Seed: <start_of_turn>, <tool_call>, <SPECIAL_10>, <seed:bos>.
            r"<(?=/?[\w:.▁-]{2,60}>)(?=/?\w{0,60}?[_:])",
            # Llama 2, Mistral and most others: <s>, </s>, <think>.
            rf"<(?=/?(?i:{_NAMES})>)",
            # Llama 2, Mistral, Pangu: <<SYS>>, [INST], [TOOL_CALLS], [unused9].
            r"<(?=</?SYS>>)",
            rf"\[(?=/?(?:{_BRACKETED})\])",
            # MiniMax: ]~b]; Falcon: >>QUESTION<<.
            r"\](?=~!?b[\[\]]|![a-z]~\[|<\])|\[(?=e~\[)",
            r">(?=>[A-Z]{1,60}<<)",
            # Alpaca, Vicuna and others that part turns by words: ### Response:, USER:.
            rf"(?m:^)#(?=##? ?(?i:instruction|response|input|{_ROLES})\b)",
            rf"(?m:^)(?=(?i:GPT4 Correct )?(?i:{_ROLES}):)\w",
        )
    )
)

_PLAIN = re.compile(rf"(?P<joiner>{JOINER})|(?P<cut>(?!))|[^{JOINER}]+")
_ESCAPED = re.compile(
    rf"(?P<joiner>{JOINER}|\\u2060)|(?P<cut>\\(?:u(?:2(?:0(?:6)?)?)?)?\Z)|\\.|[^\\{JOINER}]+", re.DOTALL
)


def broken(text: str) -> str:
    """Return the text with each spelling of a control token broken; a text without any, and without joiners, is returned as it is."""
    return _SIGN.sub(rf"\g<0>{JOINER}", text.replace(JOINER, JOINER * 2))


def broken_in(value: Any) -> Any:
    """Return JSON in which each text is `broken`; names of properties stay as they are."""
    if isinstance(value, str):
        return broken(value)
    if isinstance(value, dict):
        return {name: broken_in(each) for name, each in value.items()}
    if isinstance(value, (list, tuple)):
        return [broken_in(each) for each in value]
    return value


class Mender:
    """Undoes `broken` in a text that comes in pieces, also where a piece ends between joiners.

    `escaped`: the text is JSON, in which a joiner may be written as `\\u2060`.
    """

    def __init__(self, *, escaped: bool = False) -> None:
        self._pattern = _ESCAPED if escaped else _PLAIN
        self._is_odd = False
        """Whether the text so far ends with a joiner that has no partner."""
        self._held = ""

    def feed(self, piece: str) -> str:
        """Return what is certain of the text with this piece."""
        text, self._held = self._held + piece, ""
        mended: list[str] = []
        for part in self._pattern.finditer(text):
            if part["joiner"]:
                mended += [JOINER] if self._is_odd else []
                self._is_odd = not self._is_odd
            elif part["cut"]:
                self._held = part["cut"]
            else:
                mended.append(part[0])
                self._is_odd = False
        return "".join(mended)

    def finish(self) -> str:
        """Return what was kept back until the text ended."""
        rest, self._held = self._held, ""
        return rest
