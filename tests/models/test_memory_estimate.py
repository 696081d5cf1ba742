from __future__ import annotations

from pathlib import Path

import pytest
from tests.models.ggufs import LLAMA, Tensor, write_gguf, write_huge_gguf

from analystd.models.gguf import BadGgufError, read_header
from analystd.models.memory_estimate import MemoryEstimate, is_later_part, needs_of, refusal, window_of

GIB = 1024**3


def test_a_cache_has_a_key_and_a_value_of_each_kv_head_for_each_token(tmp_path: Path) -> None:
    """An 8-billion-parameter Llama takes 128 KiB a token, and 1 GiB for 8192 of them."""
    needs = needs_of(read_header(write_huge_gguf(tmp_path / "m.gguf", 4 * GIB)))
    assert (needs.weights, needs.window, needs.token_bytes, needs.cache) == (4 * GIB, 8192, 128 * 1024, GIB)
    assert needs.weights + needs.cache < needs.total < 5.5 * GIB


def test_a_shorter_context_needs_less(tmp_path: Path) -> None:
    header = read_header(write_huge_gguf(tmp_path / "m.gguf", 4 * GIB))
    assert needs_of(header, 2048).cache == GIB // 4
    assert needs_of(header, 2000).cache == GIB // 4


def test_heads_may_have_their_own_width_and_layers_may_have_no_heads(tmp_path: Path) -> None:
    shape = {**LLAMA, "llama.attention.key_length": 256, "llama.attention.value_length": 64}
    wide = read_header(write_gguf(tmp_path / "wide.gguf", shape))
    assert needs_of(wide).token_bytes == 32 * 8 * (256 + 64) * 2
    hybrid = read_header(write_gguf(tmp_path / "hybrid.gguf", {**LLAMA, "llama.attention.head_count_kv": [8, 0, 0, 8]}))
    assert needs_of(hybrid).token_bytes == 2 * 8 * (128 + 128) * 2


def test_a_header_without_a_shape_needs_only_its_weights(tmp_path: Path) -> None:
    needs = needs_of(read_header(write_gguf(tmp_path / "m.gguf", {}, [Tensor("a", (1000,))])))
    assert (needs.weights, needs.cache) == (4000, 0)


def test_the_context_is_the_models_own_up_to_a_default() -> None:
    assert (window_of(0, 131072), window_of(0, 2048), window_of(32768, 131072), window_of(32768, 4096)) == (
        8192,
        2048,
        32768,
        4096,
    )


def test_a_model_that_does_not_fit_is_rejected_with_the_numbers() -> None:
    needs = MemoryEstimate(weights=4 * GIB, window=8192, token_bytes=128 * 1024)
    assert refusal(Path("m.gguf"), needs, needs.total) is None
    problem = refusal(Path("m.gguf"), needs, needs.total - 1)
    assert problem is not None
    assert problem.message == (
        "m.gguf needs about 5.2 GiB of memory (4.0 GiB weights, 1.0 GiB for a context of 8192 tokens); 5.2 GiB are available"
    )
    assert problem.hint == "AGENT_CONTEXT_TOKENS=7936 would fit; so would a smaller quantisation."


def test_additional_conversations_take_a_quarter_of_the_remaining_memory() -> None:
    needs = MemoryEstimate(weights=4 * GIB, window=8192, token_bytes=128 * 1024)
    kept = [needs.conversations_within(needs.total + left * GIB, 4) for left in (0, 3, 4, 8, 100)]
    assert kept == [1, 1, 2, 3, 4]
    assert needs.conversations_within(0, 4) == 1


def test_a_smaller_model_is_suggested_when_no_context_fits() -> None:
    problem = refusal(Path("m.gguf"), MemoryEstimate(4 * GIB, 8192, 128 * 1024), 3 * GIB)
    assert problem is not None
    assert "smaller model" in str(problem.hint)


def test_the_weights_of_a_model_in_parts_are_added_up(tmp_path: Path) -> None:
    first = write_gguf(tmp_path / "m-00001-of-00002.gguf", {**LLAMA, "split.count": 2}, [Tensor("a", (100,))])
    with pytest.raises(BadGgufError, match=r"is one of 2 files, and m-00002-of-00002\.gguf is missing from its folder"):
        needs_of(read_header(first))
    second = write_gguf(tmp_path / "m-00002-of-00002.gguf", {"split.count": 2}, [Tensor("b", (5000,))])
    assert needs_of(read_header(first)).weights == first.stat().st_size + second.stat().st_size
    assert (is_later_part(first), is_later_part(second)) == (False, True)
