"""The beginning that all conversations have in common (system message, examples) as the model's state on disk.

To process it takes seconds on a CPU, to read its state milliseconds, so that the first answer after a start does not wait for it. Nothing
of a conversation itself is ever stored. A file is believed only when its checksum is right; any other is as good as none. Each model has a
folder of its own, so that a worker which a hostile model took over reaches no other model's.
"""

from __future__ import annotations

import contextlib
import hashlib
import logging
import os
import tempfile
from array import array
from collections.abc import Sequence
from pathlib import Path
from typing import Protocol

from analystd.engine.llama.slots import Slot, Slots
from analystd.util.remove import remove

logger = logging.getLogger(__name__)

MOST_FILES = 8
MOST_BYTES = 256 << 20
MOST_MODELS = 4

_MAGIC = b"analystd prefix 1\n"
_DIGEST_BYTES = 32
_SUFFIX = ".prefix"
_SAMPLE_BYTES = 1 << 20


class PrefixCache:
    """States by their tokens, for one model as it is loaded: `identity` has to tell all that a state depends on.

    At most `most_files` with `most_bytes` in all are kept; those that were not used for longest go.
    """

    def __init__(
        self, folder: Path, identity: str, *, most_files: int = MOST_FILES, most_bytes: int = MOST_BYTES
    ) -> None:
        self._folder = folder
        self._identity = hashlib.sha256(identity.encode()).digest()
        self._most_files = most_files
        self._most_bytes = most_bytes
        self._known: set[bytes] = set()

    def knows(self, tokens: Sequence[int]) -> bool:
        """Whether this prefix was stored or found before, so that there is no need to store it."""
        return self._key(tokens) in self._known

    def load(self, tokens: Sequence[int]) -> bytes | None:
        """The state after exactly these tokens; None if there is none, or none that can be believed."""
        key = self._key(tokens)
        path = self._path(key)
        try:
            content = path.read_bytes()
            os.utime(path)
        except OSError:
            return None
        state = _checked(content, key)
        if state is None:
            logger.warning("%s is damaged, or of another version; it is removed", path)
            self.discard(tokens)
            return None
        self._known.add(key)
        return state

    def save(self, tokens: Sequence[int], state: bytes) -> None:
        """Store the state after these tokens. A disk that refuses is told to the log, and no error: the state is only a short cut."""
        key = self._key(tokens)
        self._known.add(key)
        if len(state) > self._most_bytes:
            return
        try:
            _write(self._path(key), _MAGIC + _digest(key, state) + state)
            self._drop_oldest()
        except OSError as exc:
            logger.warning("the prefix could not be stored in %s: %s", self._folder, exc.strerror)

    def discard(self, tokens: Sequence[int]) -> None:
        """Drop a state, if there is one."""
        key = self._key(tokens)
        self._known.discard(key)
        with contextlib.suppress(OSError):
            self._path(key).unlink()

    def _key(self, tokens: Sequence[int]) -> bytes:
        return hashlib.sha256(self._identity + array("i", tokens).tobytes()).digest()

    def _path(self, key: bytes) -> Path:
        return self._folder / f"{key.hex()[:32]}{_SUFFIX}"

    def _drop_oldest(self) -> None:
        files = sorted(
            ((entry.stat().st_mtime_ns, entry.stat().st_size, Path(entry.path)) for entry in _entries(self._folder)),
            reverse=True,
        )
        total = 0
        for number, (_, size, path) in enumerate(files):
            total += size
            if number >= self._most_files or total > self._most_bytes:
                path.unlink()


class States(Protocol):
    """What is needed of a model."""

    def state(self, sequence: int, length: int) -> bytes:
        """What a sequence holds of its first positions; empty if that cannot be had."""
        ...

    def restore(self, sequence: int, state: bytes, length: int) -> bool:
        """Fill an empty sequence; False, and the sequence empty, when the state does not fit."""
        ...

    def stored(self, sequence: int) -> int:
        """How many positions a sequence holds."""
        ...


class SharedPrefix:
    """Puts what is known of a common beginning into a slot, and stores what was not known yet."""

    def __init__(self, model: States, slots: Slots, prefixes: PrefixCache) -> None:
        self._model = model
        self._slots = slots
        self._prefixes = prefixes

    def recall(self, slot: Slot, prompt: Sequence[int], length: int) -> None:
        """Have the slot hold the prompt's first `length` tokens, if their state is on disk and no conversation holds them."""
        beginning = prompt[:length]
        if self._slots.known(prompt) >= length or (state := self._prefixes.load(beginning)) is None:
            return
        self._slots.empty(slot)
        if self._model.restore(slot.number, state, len(beginning)):
            slot.tokens = list(beginning)
        else:
            self._prefixes.discard(beginning)

    def remember(self, slot: Slot, beginning: Sequence[int]) -> None:
        """Store the state of the beginning when the slot holds it and it was never stored."""
        if not beginning or slot.tokens[: len(beginning)] != list(beginning) or self._prefixes.knows(beginning):
            return
        if state := self._model.state(slot.number, len(beginning)):
            self._prefixes.save(beginning, state)
        if self._model.stored(slot.number) != len(slot.tokens):
            self._slots.empty(slot)


def prefix_folder(base: Path, model: Path) -> Path | None:
    """The private folder of this version of a model, made if need be; None when it cannot be had. The `MOST_MODELS` used last have one."""
    try:
        status = model.stat()
        identity = f"{model.resolve()} {status.st_size} {status.st_mtime_ns}"
        folder = base / hashlib.sha256(identity.encode("utf-8", "surrogateescape")).hexdigest()[:32]
        for each in (base, folder):
            each.mkdir(mode=0o700, parents=True, exist_ok=True)
        os.utime(folder)
        _drop_oldest_folders(base)
    except OSError as exc:
        logger.warning("what models make of the system prompt is not kept in %s: %s", base, exc.strerror)
        return None
    return folder


def sampled(path: Path) -> str:
    """What tells a big file from another at little cost: size, time of change, and a hash of its beginning and its end."""
    with path.open("rb") as file:
        status = os.fstat(file.fileno())
        digest = hashlib.sha256(file.read(_SAMPLE_BYTES))
        file.seek(max(0, status.st_size - _SAMPLE_BYTES))
        digest.update(file.read(_SAMPLE_BYTES))
    return f"{status.st_size} {status.st_mtime_ns} {digest.hexdigest()}"


def _entries(folder: Path) -> list[os.DirEntry[str]]:
    """The stored states, and drafts that were left by a process which was ended."""
    with os.scandir(folder) as entries:
        return [entry for entry in entries if entry.is_file(follow_symlinks=False) and _SUFFIX in entry.name]


def _checked(content: bytes, key: bytes) -> bytes | None:
    start = len(_MAGIC) + _DIGEST_BYTES
    state = content[start:]
    right = content[:start] == _MAGIC + _digest(key, state)
    return state if right and state else None


def _digest(key: bytes, state: bytes) -> bytes:
    """Of the key as well, so that a file under another one's name is not believed."""
    digest = hashlib.sha256(key)
    digest.update(state)
    return digest.digest()


def _write(path: Path, content: bytes) -> None:
    """Whole or not at all, for the user only."""
    descriptor, draft = tempfile.mkstemp(prefix=f"{_SUFFIX}-", dir=path.parent)
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(content)
        Path(draft).replace(path)
    except BaseException:
        Path(draft).unlink(missing_ok=True)
        raise


def _drop_oldest_folders(base: Path) -> None:
    folders = [path for path in base.iterdir() if path.is_dir() and not path.is_symlink()]
    for folder in sorted(folders, key=lambda path: path.stat().st_mtime_ns, reverse=True)[MOST_MODELS:]:
        for left in remove(folder):
            logger.warning("not removed: %s", left)
