from __future__ import annotations

import gzip
import random
from collections.abc import Callable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from analystd.data.positioned_file import PositionedFile
from analystd.data.text import decoded_content
from analystd.data.text.decoded_content import DecodedContent, Decoding
from analystd.data.text.decoders import GzipDecoder, Utf16Decoder, is_utf32, text_decoder
from analystd.wire.errors import WorkspaceError

OpenFile = Callable[..., PositionedFile]


def noise(length: int) -> bytes:
    return random.Random(5).randbytes(length)


def unzipped(file: PositionedFile, decoding: Decoding | None = None) -> DecodedContent:
    return DecodedContent(file, decoding or Decoding(GzipDecoder()))


def test_any_part_of_a_compressed_file_is_read_in_any_order(
    open_bytes: OpenFile, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(decoded_content, "_MOST_CHECKPOINTS", 8)
    data = noise(300_000)
    decoding = Decoding(GzipDecoder(), spacing=10_000)
    content = unzipped(open_bytes(gzip.compress(data, 1)), decoding)
    numbers = random.Random(1)
    for _ in range(300):
        offset, length = numbers.randrange(310_000), numbers.choice([0, 1, 100, 70_000])
        assert content.read(offset, length) == data[offset : offset + length]
    assert content.size == len(data)
    assert 2 < len(decoding.checkpoints) <= 8


def test_cached_facts_about_a_compressed_file_serve_its_next_opening(open_bytes: OpenFile) -> None:
    data = noise(100_000)
    decoding = Decoding(GzipDecoder(), spacing=1000)
    file = open_bytes(gzip.compress(data))
    unzipped(file, decoding).read(0, 10**9)
    again = unzipped(file, decoding)
    assert again.size == len(data)
    assert again.read(99_990, 100) == data[99_990:]


@given(
    parts=st.lists(st.binary(max_size=40), min_size=1, max_size=5),
    reads=st.lists(st.tuples(st.integers(0, 80), st.integers(0, 40))),
)
@settings(deadline=None)
def test_members_follow_each_other(parts: list[bytes], reads: list[tuple[int, int]], open_bytes: OpenFile) -> None:
    content = unzipped(open_bytes(b"".join(map(gzip.compress, parts)) + b"\0\0"))
    whole = b"".join(parts)
    for offset, length in reads:
        assert content.read(offset, length) == whole[offset : offset + length]


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (lambda data: data[:-20], r"x\.csv ends in the middle of its compressed data: it is cut off"),
        (lambda data: data[:20], r"x\.csv ends in the middle"),
        (lambda data: data[:5000] + b"\xff" * 50 + data[5050:], r"x\.csv holds damaged compressed data"),
        (lambda data: data[:-8] + b"\0" * 8, r"x\.csv holds damaged compressed data \(.*incorrect data check\)"),
    ],
)
def test_damage_is_reported_where_it_is_found(
    damage: Callable[[bytes], bytes], message: str, open_bytes: OpenFile
) -> None:
    data = noise(200_000)
    content = unzipped(open_bytes(damage(gzip.compress(data, 1))))
    with pytest.raises(WorkspaceError, match=message):
        content.read(0, 10**9)


def test_what_inflates_without_end_is_read_in_pieces(open_bytes: OpenFile) -> None:
    bomb = gzip.compress(b"\n" * 100_000_000, 9)
    content = unzipped(open_bytes(bomb))
    assert content.read(0, 10) == b"\n" * 10
    assert content._cursor.offset <= 1024 * 1024
    assert 0 < content.done(10) < 1


@pytest.mark.parametrize(("encoding", "mark"), [("utf-16-le", b"\xff\xfe"), ("utf-16-be", b"\xfe\xff")])
def test_utf16_is_read_as_utf8_without_its_mark(encoding: str, mark: bytes, open_bytes: OpenFile) -> None:
    text = "naïve,🦆\n" * 20_000
    make = text_decoder(mark)
    assert make is not None
    content = DecodedContent(open_bytes(mark + text.encode(encoding)), Decoding(make(), spacing=5000))
    utf8 = text.encode()
    for offset in (0, 70_000, 3, 131_000, 65_535, 65_537):
        assert content.read(offset, 200) == utf8[offset : offset + 200]
    assert content.read(0, 10**9) == utf8


def test_invalid_utf16_is_reported_like_invalid_utf8(open_bytes: OpenFile) -> None:
    data = b"\xff\xfe" + "a".encode("utf-16-le") + b"\x00\xd8" + "b".encode("utf-16-le") + b"!"
    content = DecodedContent(open_bytes(data), Decoding(Utf16Decoder("utf-16-le")))
    assert content.read(0, 100).decode("utf-8", "replace") == "a���b�"


def test_encodings_are_known_by_their_first_bytes() -> None:
    assert text_decoder(b"a,b\n") is None
    assert text_decoder(b"") is None
    assert isinstance((text_decoder(b"\x1f\x8b\x08\x00") or Utf16Decoder)(), GzipDecoder)  # type: ignore[call-arg]
    assert text_decoder(b"\xff\xfe\x00\x00") is None
    assert is_utf32(b"\xff\xfe\x00\x00a")
    assert not is_utf32(b"\xff\xfea\x00")


def test_a_cancelled_read_ends(open_bytes: OpenFile) -> None:
    content = unzipped(open_bytes(gzip.compress(noise(10_000))))
    content.listener.cancelled.set()
    with pytest.raises(Exception, match="was cancelled"):
        content.read(0, 10)
