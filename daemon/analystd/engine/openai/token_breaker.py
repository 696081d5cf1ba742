"""Break the spellings of control tokens in text for a model server, and restore them in its replies.

A server tokenizes a whole conversation at once, so `<|im_start|>` in a cell or in a program's output would begin another turn. Which model
the server has is unknown, so the spellings of all families are broken, by an invisible character after the first one (U+2060, "word
joiner", which no tokenizer removes). Where a text contains that character itself it is doubled, so that `Mender` restores the original
text if the model repeats it.
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

_CONTROL_TOKEN = re.compile(
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
            # Alpaca, Vicuna and others that separate turns by words: ### Response:, USER:.
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
    """Return the text with each spelling of a control token broken. A text without any, and without joiners, is returned unchanged."""
    return _CONTROL_TOKEN.sub(rf"\g<0>{JOINER}", text.replace(JOINER, JOINER * 2))


def broken_in(value: Any) -> Any:
    """Return JSON in which each text is `broken`. Property names stay unchanged."""
    if isinstance(value, str):
        return broken(value)
    if isinstance(value, dict):
        return {name: broken_in(each) for name, each in value.items()}
    if isinstance(value, (list, tuple)):
        return [broken_in(each) for each in value]
    return value


class Mender:
    """Reverts `broken` in a text that arrives in pieces, even if a piece ends between two joiners.

    `escaped`: the text is JSON, in which a joiner may be written as `\\u2060`.
    """

    def __init__(self, *, escaped: bool = False) -> None:
        self._pattern = _ESCAPED if escaped else _PLAIN
        self._is_odd = False
        """Whether the text so far ends with a joiner without its second one."""
        self._held = ""

    def feed(self, piece: str) -> str:
        """Add a piece, and return the text that is complete."""
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
        """Return the text that was held back until the end."""
        rest, self._held = self._held, ""
        return rest
