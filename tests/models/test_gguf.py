from __future__ import annotations

import contextlib
import random
import struct
import time
import tracemalloc
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tests.models.ggufs import LLAMA, Tensor, header, write_gguf

from analystd.models import gguf as gguf_module
from analystd.models.catalog import look_at
from analystd.models.gguf import BadGgufError, read_header

pytestmark = pytest.mark.slow


def test_the_metadata_of_the_embedded_model_is_read(gguf: Path) -> None:
    about = read_header(gguf)
    assert (about.architecture, about.kind, about.quantisation) == ("llama", "model", "Q4_1")
    assert (about.parameters, about.context_tokens, about.parts) == (134_515_008, 8192, 1)
    assert about.has_chat_template
    assert about.file_bytes == gguf.stat().st_size > about.tensor_bytes > 0.9 * about.file_bytes


def test_long_arrays_and_arrays_of_texts_are_skipped(tmp_path: Path) -> None:
    metadata = {"a": [1, 2, 3], "long": list(range(2000)), "texts": ["x", "y"], "last": "here"}
    about = read_header(write_gguf(tmp_path / "m.gguf", metadata))
    assert dict(about.metadata) == {"a": [1, 2, 3], "long": None, "texts": None, "last": "here"}


def test_missing_metadata_is_none(tmp_path: Path) -> None:
    about = read_header(write_gguf(tmp_path / "m.gguf", {}))
    assert (about.architecture, about.quantisation, about.context_tokens, about.has_chat_template) == (
        "",
        None,
        0,
        False,
    )


def test_numbers_of_layers_may_differ(tmp_path: Path) -> None:
    about = read_header(write_gguf(tmp_path / "m.gguf", {"general.architecture": "x", "x.heads": [4, 0, 2, -1]}))
    assert (about.number("heads"), about.sum_over("heads", 3), about.sum_over("heads", 9)) == (4, 6, 6)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "is not a GGUF file"),
        (b"hello, world", "is not a GGUF file"),
        (b"GGUF\x03\x00", "ends within its header, after 6 bytes"),
        (struct.pack("<4sIQQ", b"GGUF", 1, 0, 0), "is a GGUF of version 1; versions 2 and 3 are supported"),
        (struct.pack(">4sIQQ", b"GGUF", 3, 0, 0), "is a GGUF of version 50331648"),
        (struct.pack("<4sIQQ", b"GGUF", 3, 0, 2**63), "ends within its header"),
        (struct.pack("<4sIQQ", b"GGUF", 3, 2**63, 0), "ends within its header"),
        (struct.pack("<4sIQQQ", b"GGUF", 3, 0, 1, 2**64 - 1), "ends within its header"),
        (struct.pack("<4sIQQQII", b"GGUF", 3, 0, 1, 0, 99, 0), "its header has a value of type 99"),
        (struct.pack("<4sIQQQIIQ", b"GGUF", 3, 0, 1, 0, 9, 9, 1), "its header has an array of values of type 9"),
        (struct.pack("<4sIQQQIIQ", b"GGUF", 3, 0, 1, 0, 9, 10, 2**62), "ends within its header"),
        (struct.pack("<4sIQQQIIQ", b"GGUF", 3, 0, 1, 0, 9, 8, 2**62), "ends within its header"),
        (struct.pack("<4sIQQQI", b"GGUF", 3, 1, 0, 0, 9), "its header has a tensor with 9 dimensions"),
    ],
)
def test_an_inconsistent_file_is_rejected_with_the_reason(tmp_path: Path, content: bytes, message: str) -> None:
    (tmp_path / "m.gguf").write_bytes(content)
    with pytest.raises(BadGgufError, match=message):
        read_header(tmp_path / "m.gguf")


def test_a_truncated_file_is_rejected_with_its_actual_and_expected_length(tmp_path: Path) -> None:
    path = write_gguf(tmp_path / "m.gguf", LLAMA, [Tensor("a", (100, 100)), Tensor("b", (10,))])
    whole = path.stat().st_size
    read_header(path)
    with path.open("r+b") as file:
        file.truncate(whole - 100)
    with pytest.raises(BadGgufError, match=f"is truncated: it has {whole - 100} of {whole - 24} bytes") as refusal:
        read_header(path)
    assert refusal.value.hint == "Fetch it again."


def test_a_header_cut_anywhere_is_refused(tmp_path: Path) -> None:
    content = header(LLAMA, [Tensor("a", (100, 100))])
    for length in range(0, len(content), 7):
        (tmp_path / "m.gguf").write_bytes(content[:length])
        with pytest.raises(BadGgufError):
            read_header(tmp_path / "m.gguf")


def test_headers_with_wrong_bytes_are_read_or_refused_and_nothing_else(tmp_path: Path) -> None:
    content = bytearray(header(LLAMA, [Tensor("a", (100, 100))]))
    dice = random.Random(7)
    for _ in range(300):
        damaged = bytearray(content)
        for _ in range(3):
            damaged[dice.randrange(len(damaged))] = dice.choice((0, 1, 127, 255))
        (tmp_path / "m.gguf").write_bytes(damaged)
        try:
            read_header(tmp_path / "m.gguf")
        except BadGgufError:
            continue


U64 = st.sampled_from([0, 1, 2, 3, 1023, 1024, 1025, 65_535, 65_536, 2**31, 2**32 - 1, 2**62, 2**63, 2**64 - 1])
U32 = st.sampled_from([*range(14), 2**31, 2**32 - 1])
TEXT = st.binary(max_size=20).map(lambda text: struct.pack("<Q", len(text)) + text)
PIECE = st.one_of(
    U64.map(lambda number: struct.pack("<Q", number)),
    U32.map(lambda number: struct.pack("<I", number)),
    TEXT,
    st.binary(max_size=40),
)


@given(version=st.sampled_from([2, 3]), tensors=U64, pairs=U64, pieces=st.lists(PIECE, max_size=30))
@settings(max_examples=400, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_whatever_a_header_claims_it_is_read_or_refused(
    tmp_path: Path, version: int, tensors: int, pairs: int, pieces: list[bytes]
) -> None:
    path = tmp_path / "m.gguf"
    path.write_bytes(struct.pack("<4sIQQ", b"GGUF", version, tensors, pairs) + b"".join(pieces))
    with contextlib.suppress(BadGgufError):
        read_header(path)
    assert look_at(path).path == path


@given(st.data())
@settings(max_examples=200, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_a_whole_header_with_any_bytes_exchanged_is_read_or_refused(tmp_path: Path, data: st.DataObject) -> None:
    content = bytearray(
        header({**LLAMA, "split.count": 3, "llama.heads": [1, 2]}, [Tensor("a", (100, 100)), Tensor("b", (7,))])
    )
    for _ in range(data.draw(st.integers(1, 6))):
        at = data.draw(st.integers(0, len(content) - 8))
        piece = data.draw(PIECE)[:8]
        content[at : at + len(piece)] = piece
    path = tmp_path / "m-00001-of-00003.gguf"
    path.write_bytes(content)
    assert look_at(path).path == path


def pair(number: int, kind: int, value: bytes) -> bytes:
    return struct.pack("<QQI", 8, number, kind) + value


HUGE = 31 << 20
FLOODS = {
    "pairs": (0, 1 << 14, b"".join(pair(number, 0, b"x") for number in range(1 << 14))),
    "too many pairs": (0, 1 << 20, b"".join(pair(number, 0, b"x") for number in range(1 << 20))),
    "short arrays": (0, 16_000, b"".join(pair(n, 9, struct.pack("<IQ", 0, 1024) + bytes(1024)) for n in range(16_000))),
    "arrays of floats": (
        0,
        7000,
        b"".join(pair(n, 9, struct.pack("<IQ", 6, 1024) + b"\1\2\3\4" * 1024) for n in range(7000)),
    ),
    "texts": (0, 7000, b"".join(pair(n, 8, struct.pack("<Q", 4096) + bytes(4096)) for n in range(7000))),
    "a long text": (0, 1, pair(0, 8, struct.pack("<Q", HUGE) + bytes(HUGE))),
    "empty texts": (0, 1, pair(0, 9, struct.pack("<IQ", 8, HUGE // 8) + bytes(HUGE))),
    "tensors": (1 << 17, 0, struct.pack("<QIIQ", 0, 0, 0, 0) * (1 << 17)),
    "huge tensors": (1000, 0, struct.pack("<QI4QIQ", 0, 4, *[2**64 - 1] * 4, 0, 2**64 - 1) * 1000),
}


@pytest.mark.parametrize("flood", FLOODS)
def test_a_hostile_header_takes_little_memory_and_time(tmp_path: Path, flood: str) -> None:
    tensors, pairs, content = FLOODS[flood]
    path = tmp_path / "m.gguf"
    path.write_bytes(struct.pack("<4sIQQ", b"GGUF", 3, tensors, pairs) + content)
    tracemalloc.start()
    try:
        look_at(path)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < 64 << 20
    began = time.process_time()
    look_at(path)
    assert time.process_time() - began < 5


def test_an_impossible_number_of_parts_is_reported(tmp_path: Path) -> None:
    about = {**LLAMA, "split.count": 2**32 - 1}
    for name in ("m.gguf", "m-00001-of-00002.gguf"):
        entry = look_at(write_gguf(tmp_path / name, about))
        assert "is one of 4294967295 files" in str(entry.problem)


def test_an_endless_header_is_rejected(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gguf_module, "HEADER_LIMIT", 1 << 20)
    path = tmp_path / "m.gguf"
    path.write_bytes(struct.pack("<4sIQQQIIQ", b"GGUF", 3, 0, 1, 0, 9, 8, 2**62))
    with path.open("r+b") as file:
        file.truncate(10 << 20)
    with pytest.raises(BadGgufError, match="its header has more than 1 MiB"):
        read_header(path)


def test_a_file_that_cannot_be_opened_is_reported(tmp_path: Path) -> None:
    with pytest.raises(BadGgufError, match="cannot be read: No such file"):
        read_header(tmp_path / "none.gguf")
