"""A cache of facts about text files: valid while a file is unchanged, and its record index also after bytes were appended."""

from __future__ import annotations

import hashlib
import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Hashable
from dataclasses import dataclass, field, replace
from typing import Any, Protocol, TypeVar, cast

from analystd.data.positioned_file import FileKey, PositionedFile
from analystd.data.text.content import Content
from analystd.data.text.decoded_content import DecodedContent, Decoding
from analystd.data.text.decoders import text_decoder
from analystd.data.text.record_index import RecordIndex

_FILES_REMEMBERED = 32
_BEGINNING_BYTES = 64 * 1024
_WHOLE_BYTES = 1024 * 1024
_SPOTS = 16
_SPOT_BYTES = 1024
# File times do not distinguish two changes within one tick of the file system's clock.
_TICK_NS = 20_000_000
_MAGIC_BYTES = 4
_MOST_LAYERS = 2


class TextFacts(Protocol):
    """Facts about a text, as a frozen dataclass."""

    @property
    def index(self) -> RecordIndex:
        """The index of the text's records."""
        ...


Facts = TypeVar("Facts", bound=TextFacts)


@dataclass
class _Known:
    """The cached state of one file."""

    key: FileKey
    evidence: bytes
    """A digest of parts of the file, to detect other content."""
    decodings: list[Decoding]
    facts: dict[Hashable, TextFacts] = field(default_factory=dict)
    settled: bool = False
    """Whether the digest was taken late enough for the file's times to reveal any later change."""


class TextCache:
    """Opens the text in files, and caches facts about the most recently opened ones."""

    def __init__(self) -> None:
        self._files: OrderedDict[tuple[int, int], _Known] = OrderedDict()
        self._lock = threading.Lock()

    def open(self, file: PositionedFile) -> Content:
        """Return a file's content, decompressed, in UTF-8 or another encoding that contains ASCII."""
        return _content(file, self._known(file).decodings)

    def learn(self, file: PositionedFile, content: Content, how: Hashable, learn: Callable[[Content], Facts]) -> Facts:
        """Return the result of `learn` for an opened text, cached under the key `how`.

        Raises:
            WorkspaceError: as `learn` does.
        """
        known = self._known(file)
        if (facts := known.facts.get(how)) is None:
            facts = learn(content)
            with self._lock:
                facts = known.facts.setdefault(how, facts)
        return cast(Facts, facts)

    def only_grew(self, before: PositionedFile, now: PositionedFile) -> bool:
        """Return whether, according to the digest, the file's former content is still its beginning."""
        with self._lock:
            known = self._files.get(before.key[:2])
        return known is not None and known.key == before.key and _only_grew(now, known)

    def forget(self, file: PositionedFile) -> None:
        """Drop the cached state of a file."""
        with self._lock:
            self._files.pop(file.key[:2], None)

    def _known(self, file: PositionedFile) -> _Known:
        with self._lock:
            known = self._files.get(file.key[:2])
        if known is None or not _still_holds(known, file):
            known = _grown(known, file) or _Known(
                file.key, evidence(file, file.size), _decodings(file), settled=_settled(file)
            )
        with self._lock:
            self._files[file.key[:2]] = known
            self._files.move_to_end(file.key[:2])
            while len(self._files) > _FILES_REMEMBERED:
                self._files.popitem(last=False)
        return known


def evidence(file: PositionedFile, size: int) -> bytes:
    """Return a digest of the first `size` bytes of a file: of all bytes if they are few, else of samples from start to end."""
    digest = hashlib.blake2b(digest_size=16)
    if size <= _WHOLE_BYTES:
        digest.update(file.read(0, size))
    else:
        step = (size - _SPOT_BYTES) // _SPOTS
        for offset in (*range(0, step * _SPOTS, step), size - _SPOT_BYTES):
            digest.update(file.read(offset, _SPOT_BYTES))
    return digest.digest()


def _only_grew(file: PositionedFile, known: _Known) -> bool:
    size = known.key[2]
    return file.key[:2] == known.key[:2] and file.size > size and evidence(file, size) == known.evidence


def _still_holds(known: _Known, file: PositionedFile) -> bool:
    if known.key != file.key:
        return False
    if not known.settled:
        if evidence(file, file.size) != known.evidence:
            return False
        known.settled = _settled(file)
    return True


def _settled(file: PositionedFile) -> bool:
    return time.time_ns() - max(file.key[3:]) > _TICK_NS


def _grown(known: _Known | None, file: PositionedFile) -> _Known | None:
    """Return the state that stays valid after bytes were appended to a file; None if the content is another."""
    if known is None or known.decodings or known.key[2] <= _BEGINNING_BYTES:
        return None
    if not _only_grew(file, known):
        return None
    facts = {how: _with_index(each, each.index.grown(known.key[2])) for how, each in known.facts.items()}
    return _Known(file.key, evidence(file, file.size), [], facts, settled=_settled(file))


def _with_index(facts: Any, index: RecordIndex) -> TextFacts:
    return cast(TextFacts, replace(facts, index=index))


def _decodings(file: PositionedFile) -> list[Decoding]:
    """Return the decodings that turn the file's bytes into text, outermost first."""
    decodings: list[Decoding] = []
    while len(decodings) < _MOST_LAYERS:
        make = text_decoder(_content(file, decodings).read(0, _MAGIC_BYTES))
        if make is None:
            break
        decodings.append(Decoding(make()))
    return decodings


def _content(file: PositionedFile, decodings: list[Decoding]) -> Content:
    content: Content = file
    for decoding in decodings:
        content = DecodedContent(content, decoding)
    return content
