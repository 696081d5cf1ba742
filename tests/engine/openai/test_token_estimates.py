from __future__ import annotations

from pathlib import Path

import pytest

from analystd.engine.llama.llama_model import LlamaModel
from analystd.engine.openai.token_estimates import is_cut, least_tokens, likely_tokens

ROOT = Path(__file__).parents[3]


def numbers() -> str:
    return "\n".join(f"2024-01-{day:02d},{day * 1.2345:.4f},{day * 9871:,},-{day}.5e-07" for day in range(1, 31))


@pytest.mark.parametrize(
    "text", [*(ROOT / name for name in ("README.md", "LICENSE", "ARCHITECTURE.md", "pyproject.toml")), numbers()]
)
def test_a_real_tokenizer_lies_between_the_estimates(model: LlamaModel, text: Path | str) -> None:
    content = text if isinstance(text, str) else text.read_text(encoding="utf-8")
    tokens = len(model.vocabulary.tokenize(content, special=False))
    assert least_tokens([content]) <= tokens <= likely_tokens(content) * 1.1


@pytest.mark.parametrize("text", ["", "日本語の文章です。" * 50, "🙂" * 300, "\ud800" * 9, " " * 5000, "=" * 5000])
def test_texts_without_words_never_count_as_cut(text: str) -> None:
    assert not is_cut([text], 100)
    assert likely_tokens(text) >= 0


def test_short_prompts_are_not_checked() -> None:
    assert not is_cut(["a b c d e " * 39], 1)
    assert is_cut(["a b c d e " * 41], 100)
