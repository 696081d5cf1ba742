"""Decoders for gzip and UTF-16."""

from __future__ import annotations

import codecs
import zlib
from collections.abc import Callable

from analystd.data.text.decoded_content import ByteDecoder, DecodeError

GZIP_MAGIC = b"\x1f\x8b"

_GZIP_WINDOW = 31
_MOST_AT_ONCE = 1024 * 1024
_NO_CHARACTER = b"\xff"
_UTF16_MARKS = {b"\xff\xfe": "utf-16-le", b"\xfe\xff": "utf-16-be"}
_UTF32_MARKS = (b"\xff\xfe\x00\x00", b"\x00\x00\xfe\xff")


class GzipDecoder:
    """Gzip as in RFC 1952: consecutive members; zeros or other data after the last one are ignored."""

    def __init__(self) -> None:
        self._member = zlib.decompressobj(_GZIP_WINDOW)
        self._members = 0
        self._began = False

    def decode(self, data: bytes, *, last: bool) -> tuple[bytes, int]:
        """See `ByteDecoder.decode`."""
        if not self._began:
            if not data.startswith(GZIP_MAGIC):
                return self._no_member(data)
            self._began = True
        if not data:
            raise DecodeError("ends in the middle of its compressed data: it is cut off")
        try:
            piece = self._member.decompress(data, _MOST_AT_ONCE)
        except zlib.error as exc:
            # zlib's message gives the operation and an error number, then the reason.
            raise DecodeError(f"holds damaged compressed data ({str(exc).rpartition(': ')[2]})") from exc
        # At a member's end, the bytes that follow it may be in either attribute.
        rest = self._member.unused_data if self._member.eof else self._member.unconsumed_tail
        used = len(data) - len(rest)
        if self._member.eof:
            self._member = zlib.decompressobj(_GZIP_WINDOW)
            self._members += 1
            self._began = False
        return piece, used

    def copy(self) -> GzipDecoder:
        """Return a copy of the decoder in its current state."""
        other = GzipDecoder()
        other._member = self._member.copy()
        other._members = self._members
        other._began = self._began
        return other

    def _no_member(self, data: bytes) -> tuple[bytes, int]:
        if not self._members:
            raise DecodeError("is not gzip data")
        return b"", 0


class Utf16Decoder:
    """UTF-16 to UTF-8, without the byte order mark. Unpaired surrogates become invalid UTF-8, which later steps report."""

    def __init__(self, encoding: str) -> None:
        self._encoding = encoding
        self._decoder = codecs.getincrementaldecoder(encoding)("surrogatepass")
        self._begun = False

    def decode(self, data: bytes, *, last: bool) -> tuple[bytes, int]:
        """See `ByteDecoder.decode`."""
        used = len(data)
        if not self._begun:
            self._begun = True
            data = data[2:]
        text = self._decoder.decode(data, final=False)
        if last and not used and self._decoder.getstate()[0]:
            self._decoder.reset()
            return _NO_CHARACTER, 0
        return text.encode("utf-8", "surrogatepass"), used

    def copy(self) -> Utf16Decoder:
        """Return a copy of the decoder in its current state."""
        other = Utf16Decoder(self._encoding)
        other._decoder.setstate(self._decoder.getstate())
        other._begun = self._begun
        return other


def text_decoder(begin: bytes) -> Callable[[], ByteDecoder] | None:
    """Return a factory of decoders for data that begins with `head`; None for data that needs no decoding."""
    if begin.startswith(GZIP_MAGIC):
        return GzipDecoder
    encoding = None if begin.startswith(_UTF32_MARKS) else _UTF16_MARKS.get(begin[:2])
    return None if encoding is None else lambda: Utf16Decoder(encoding)


def is_utf32(begin: bytes) -> bool:
    """Return whether data begins with a byte order mark of UTF-32, which is not supported."""
    return begin.startswith(_UTF32_MARKS)
