import pytest

from analystd.engine.control_tokens import shown_tokens, without_thoughts


class Vocabulary:
    """Tokens with these texts, all of them reserved."""

    def __init__(self, *texts: str) -> None:
        self._texts = texts
        self.reserved = frozenset(range(len(texts)))

    def piece(self, token: int, *, special: bool = False) -> bytes:
        return self._texts[token].encode() if special else b""


def shown(*texts: str) -> set[str]:
    return {text.decode() for text in shown_tokens(Vocabulary(*texts)).values()}


def test_tokens_of_calls_and_thoughts_are_shown_and_those_of_turns_are_not() -> None:
    assert shown(
        "<|im_start|>", "<|im_end|>", "<tool_call>", "</think>", "<|python_tag|>", "<|eot_id|>", "[TOOL_CALLS]"
    ) == {
        "<tool_call>",
        "</think>",
        "<|python_tag|>",
        "[TOOL_CALLS]",
    }


def test_the_end_of_a_turn_elsewhere_separates_messages_in_gpt_oss() -> None:
    assert shown("<|end|>", "<|user|>") == set()
    assert shown("<|end|>", "<|start|>", "<|channel|>") == {"<|end|>", "<|start|>", "<|channel|>"}


@pytest.mark.parametrize(
    ("reply", "spoken"),
    [
        ("<think>Hm, 5?</think>\nFive.<think>or six", "Five."),
        ("[THINK]Hm.[/THINK]Five.", "Five."),
        ("<|channel|>analysis<|message|>Hm.<|end|><|start|>assistant<|channel|>final<|message|>Five.", "Five."),
        ("Phi ends with <|end|>, I think.", "Phi ends with <|end|>, I think."),
    ],
)
def test_thoughts_are_removed_from_a_reply(reply: str, spoken: str) -> None:
    assert without_thoughts(reply) == spoken
