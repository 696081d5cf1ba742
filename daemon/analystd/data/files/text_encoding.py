"""Detection of a file's text encoding, and the line ends and characters in its bytes."""

from __future__ import annotations

import codecs
from dataclasses import dataclass

LONGEST_CHARACTER = 4
"""The size in bytes of the longest character in any of the encodings."""

_BOMS = (
    # UTF-32 first: its byte order mark begins with that of UTF-16.
    (codecs.BOM_UTF32_LE, "utf-32", "utf-32-le", 4),
    (codecs.BOM_UTF32_BE, "utf-32", "utf-32-be", 4),
    (codecs.BOM_UTF8, "utf-8-sig", "utf-8", 1),
    (codecs.BOM_UTF16_LE, "utf-16", "utf-16-le", 2),
    (codecs.BOM_UTF16_BE, "utf-16", "utf-16-be", 2),
)
_SIGNATURES = (
    (b"\x1f\x8b", "gzip"),
    (b"PK\x03\x04", "a ZIP archive, like .xlsx"),
    (b"PAR1", "Parquet"),
    (b"ARROW1", "Arrow or Feather"),
    (b"SQLite format 3\0", "SQLite"),
    (b"\x89HDF\r\n\x1a\n", "HDF5"),
    (b"\x89PNG\r\n\x1a\n", "PNG"),
    (b"\xff\xd8\xff", "JPEG"),
    (b"GIF8", "GIF"),
    (b"%PDF-", "PDF"),
    (b"\x28\xb5\x2f\xfd", "Zstandard"),
    (b"\xfd7zXZ\0", "xz"),
    (b"BZh", "bzip2"),
    (b"\x93NUMPY", "a NumPy array"),
    (b"\x7fELF", "a program"),
    (b"GGUF", "a GGUF model"),
)
_WINDOWS = "windows-1252"


@dataclass(frozen=True)
class TextCoding:
    """An encoding detected from a file's first bytes."""

    name: str
    """The encoding's name in Python and pandas."""
    codec: str
    """The codec for the bytes after the byte order mark."""
    unit: int = 1
    """The size in bytes of the smallest character."""
    mark: int = 0
    """The size in bytes of the byte order mark, which is not part of the text."""

    @property
    def newline(self) -> bytes:
        """The bytes that end a line."""
        return "\n".encode(self.codec)

    def count_lines(self, data: bytes, most: int) -> tuple[int, int]:
        """Return the number of lines that end in `data`, at most `most`, and the end of the last of them."""
        if self.unit == 1:
            count = min(data.count(b"\n"), most)
            return count, sum(map(len, data.split(b"\n", count)[:count])) + count
        count, end = 0, 0
        found = data.find(self.newline)
        while found >= 0 and count < most:
            if found % self.unit == 0:
                count, end = count + 1, found + self.unit
            found = data.find(self.newline, found + 1)
        return count, end

    def last_line_end(self, data: bytes) -> int:
        """Return the end of the last whole line of `data`; 0 if there is none."""
        found = data.rfind(self.newline)
        while found > 0 and found % self.unit:
            found = data.rfind(self.newline, 0, found + len(self.newline) - 1)
        return found + self.unit if found >= 0 else 0

    def cut_end(self, data: bytes) -> int:
        """Return the number of bytes at the end of `data` that begin a character which is cut off."""
        decoder = codecs.getincrementaldecoder(self.codec)("replace")
        decoder.decode(data[-8 * self.unit :])
        return len(decoder.getstate()[0])

    def decoded(self, data: bytes) -> tuple[str, str]:
        """Return the text and its encoding; data that is not UTF-8 is decoded as Windows-1252."""
        if self.codec != "utf-8" or self.mark:
            return data.decode(self.codec, "replace"), self.name
        text = data.decode("utf-8", "replace")
        if _is_damaged_at_most(text):
            return text, self.name
        try:
            return data.decode(_WINDOWS), _WINDOWS
        except UnicodeDecodeError:
            return data.decode("latin-1"), "latin-1"


def coding_of(head: bytes) -> TextCoding | None:
    """Return the encoding of a file that begins with `head`; None for a binary file."""
    for mark, name, codec, unit in _BOMS:
        if head.startswith(mark):
            return TextCoding(name, codec, unit, len(mark))
    if b"\0" in head or (binary_kind(head) is not None and not _is_utf_8(head)):
        return None
    return TextCoding("utf-8", "utf-8")


def binary_kind(head: bytes) -> str | None:
    """Return a readable name of the format that a file's first bytes indicate; None if they are not known."""
    return next((kind for signature, kind in _SIGNATURES if head.startswith(signature)), None)


def _is_utf_8(head: bytes) -> bool:
    try:
        codecs.getincrementaldecoder("utf-8")("strict").decode(head)
    except UnicodeDecodeError:
        return False
    return True


def _is_damaged_at_most(text: str) -> bool:
    """Return whether `text` was UTF-8, perhaps with some invalid bytes: in another encoding, hardly any would be valid."""
    wrong = text.count("\ufffd")
    return wrong == 0 or sum(character > "\x7f" for character in text) - wrong > wrong
