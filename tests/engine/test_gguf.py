from __future__ import annotations

import random
import struct
from pathlib import Path

import pytest
from tests.engine.ggufs import LLAMA, Tensor, header, write_gguf

from analystd.engine import gguf as gguf_module
from analystd.engine.gguf import BadGgufError, read_header


def test_the_facts_of_the_embedded_model_are_read(gguf: Path) -> None:
    about = read_header(gguf)
    assert (about.architecture, about.kind, about.quantisation) == ("llama", "model", "Q4_1")
    assert (about.parameters, about.context_tokens, about.parts) == (134_515_008, 8192, 1)
    assert about.has_chat_template
    assert about.file_bytes == gguf.stat().st_size > about.tensor_bytes > 0.9 * about.file_bytes


def test_long_arrays_and_arrays_of_texts_are_passed_over(tmp_path: Path) -> None:
    metadata = {"a": [1, 2, 3], "long": list(range(2000)), "texts": ["x", "y"], "last": "here"}
    about = read_header(write_gguf(tmp_path / "m.gguf", metadata))
    assert dict(about.metadata) == {"a": [1, 2, 3], "long": None, "texts": None, "last": "here"}


def test_what_a_header_does_not_tell_is_left_open(tmp_path: Path) -> None:
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
        (struct.pack("<4sIQQ", b"GGUF", 1, 0, 0), "is a GGUF of version 1; versions 2 and 3 are known"),
        (struct.pack(">4sIQQ", b"GGUF", 3, 0, 0), "is a GGUF of version 50331648"),
        (struct.pack("<4sIQQ", b"GGUF", 3, 0, 2**63), "ends within its header"),
        (struct.pack("<4sIQQ", b"GGUF", 3, 2**63, 0), "ends within its header"),
        (struct.pack("<4sIQQQ", b"GGUF", 3, 0, 1, 2**64 - 1), "ends within its header"),
        (struct.pack("<4sIQQQII", b"GGUF", 3, 0, 1, 0, 99, 0), "tells of a value of type 99"),
        (struct.pack("<4sIQQQIIQ", b"GGUF", 3, 0, 1, 0, 9, 9, 1), "tells of an array of values of type 9"),
        (struct.pack("<4sIQQQIIQ", b"GGUF", 3, 0, 1, 0, 9, 10, 2**62), "ends within its header"),
        (struct.pack("<4sIQQQIIQ", b"GGUF", 3, 0, 1, 0, 9, 8, 2**62), "ends within its header"),
        (struct.pack("<4sIQQQI", b"GGUF", 3, 1, 0, 0, 9), "tells of a tensor with 9 dimensions"),
    ],
)
def test_a_file_that_lies_is_refused_with_what_is_wrong(tmp_path: Path, content: bytes, message: str) -> None:
    (tmp_path / "m.gguf").write_bytes(content)
    with pytest.raises(BadGgufError, match=message):
        read_header(tmp_path / "m.gguf")


def test_a_file_that_is_cut_short_is_refused_with_its_length_and_what_it_should_be(tmp_path: Path) -> None:
    path = write_gguf(tmp_path / "m.gguf", LLAMA, [Tensor("a", (100, 100)), Tensor("b", (10,))])
    whole = path.stat().st_size
    read_header(path)
    with path.open("r+b") as file:
        file.truncate(whole - 100)
    with pytest.raises(BadGgufError, match=f"is cut short: it has {whole - 100} of {whole - 24} bytes") as refusal:
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


def test_a_header_without_end_is_given_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gguf_module, "HEADER_LIMIT", 1 << 20)
    path = tmp_path / "m.gguf"
    path.write_bytes(struct.pack("<4sIQQQIIQ", b"GGUF", 3, 0, 1, 0, 9, 8, 2**62))
    with path.open("r+b") as file:
        file.truncate(10 << 20)
    with pytest.raises(BadGgufError, match="tells of a header longer than 1 MiB"):
        read_header(path)


def test_a_file_that_cannot_be_opened_is_told(tmp_path: Path) -> None:
    with pytest.raises(BadGgufError, match="cannot be read: No such file"):
        read_header(tmp_path / "none.gguf")
