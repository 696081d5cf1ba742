"""Store the model's state after the prefix that all conversations share (system message, examples) on disk.

Processing the prefix takes seconds on a CPU, and reading its state milliseconds, so that the first answer after a start does not wait for
it. Nothing of a conversation itself is ever stored. A file is used only when its checksum matches. Each model has a folder of its own, so
that a worker which a hostile model has taken over cannot reach those of other models.
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
    """States by their tokens, for one loaded model. `identity` must contain everything that a state depends on.

    Keeps at most `MOST_FILES` files with `MOST_BYTES` in all, and drops those that were used least recently.
    """

    def __init__(self, folder: Path, identity: str) -> None:
        self._folder = folder
        self._identity = hashlib.sha256(identity.encode()).digest()
        self._known: set[bytes] = set()

    def knows(self, tokens: Sequence[int]) -> bool:
        """Return whether this prefix was stored or loaded before, so that it need not be stored."""
        return self._key(tokens) in self._known

    def load(self, tokens: Sequence[int]) -> bytes | None:
        """Return the state after exactly these tokens; None if there is no valid one."""
        key = self._key(tokens)
        path = self._path(key)
        try:
            content = path.read_bytes()
            os.utime(path)
        except OSError:
            return None
        state = _checked(content, key)
        if state is None:
            logger.warning("removing %s: it is damaged or has another version", path)
            self.discard(tokens)
            return None
        self._known.add(key)
        return state

    def save(self, tokens: Sequence[int], state: bytes) -> None:
        """Store the state after these tokens. Errors of the disk are only logged, since the state is only an optimisation."""
        key = self._key(tokens)
        self._known.add(key)
        if len(state) > MOST_BYTES:
            return
        try:
            _write(self._path(key), _MAGIC + _digest(key, state) + state)
            self._drop_oldest()
        except OSError as exc:
            logger.warning("the prefix could not be stored in %s: %s", self._folder, exc.strerror)

    def discard(self, tokens: Sequence[int]) -> None:
        """Remove a state, if it exists."""
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
            if number >= MOST_FILES or total > MOST_BYTES:
                path.unlink()


class States(Protocol):
    """The part of a model that this module uses."""

    def state(self, sequence: int, length: int) -> bytes:
        """Return the state of a sequence's first positions; empty if it is not available."""
        ...

    def restore(self, sequence: int, state: bytes, length: int) -> bool:
        """Fill an empty sequence. Returns False, and leaves it empty, when the state does not fit."""
        ...

    def stored(self, sequence: int) -> int:
        """Return how many positions a sequence holds."""
        ...


class SharedPrefix:
    """Loads the state of a shared prefix into a slot, and stores a state that is not on disk yet."""

    def __init__(self, model: States, slots: Slots, prefixes: PrefixCache) -> None:
        self._model = model
        self._slots = slots
        self._prefixes = prefixes

    def recall(self, slot: Slot, prompt: Sequence[int], length: int) -> None:
        """Fill the slot with the prompt's first `length` tokens, if their state is on disk and no conversation holds them."""
        prefix = prompt[:length]
        if self._slots.known(prompt) >= length or (state := self._prefixes.load(prefix)) is None:
            return
        self._slots.empty(slot)
        if self._model.restore(slot.number, state, len(prefix)):
            slot.tokens = list(prefix)
        else:
            self._prefixes.discard(prefix)

    def remember(self, slot: Slot, prefix: Sequence[int]) -> None:
        """Store the state of the prefix if the slot holds it and it was never stored."""
        if not prefix or slot.tokens[: len(prefix)] != list(prefix) or self._prefixes.knows(prefix):
            return
        if state := self._model.state(slot.number, len(prefix)):
            self._prefixes.save(prefix, state)
        if self._model.stored(slot.number) != len(slot.tokens):
            self._slots.empty(slot)


def prefix_folder(base: Path, model: Path) -> Path | None:
    """Return the private folder of this version of a model, creating it if needed; None if that fails. Keeps the `MOST_MODELS` used last."""
    try:
        status = model.stat()
        identity = f"{model.resolve()} {status.st_size} {status.st_mtime_ns}"
        folder = base / hashlib.sha256(identity.encode("utf-8", "surrogateescape")).hexdigest()[:32]
        for each in (base, folder):
            each.mkdir(mode=0o700, parents=True, exist_ok=True)
        os.utime(folder)
        _drop_oldest_folders(base)
    except OSError as exc:
        logger.warning("the state of the system prompt cannot be cached in %s: %s", base, exc.strerror)
        return None
    return folder


def fingerprint(path: Path) -> str:
    """Return what identifies a large file at little cost: its size, its modification time, and a hash of its beginning and end."""
    with path.open("rb") as file:
        status = os.fstat(file.fileno())
        digest = hashlib.sha256(file.read(_SAMPLE_BYTES))
        file.seek(max(0, status.st_size - _SAMPLE_BYTES))
        digest.update(file.read(_SAMPLE_BYTES))
    return f"{status.st_size} {status.st_mtime_ns} {digest.hexdigest()}"


def _entries(folder: Path) -> list[os.DirEntry[str]]:
    """Return the stored states, and temporary files of processes that were killed."""
    with os.scandir(folder) as entries:
        return [entry for entry in entries if entry.is_file(follow_symlinks=False) and _SUFFIX in entry.name]


def _checked(content: bytes, key: bytes) -> bytes | None:
    start = len(_MAGIC) + _DIGEST_BYTES
    state = content[start:]
    is_valid = content[:start] == _MAGIC + _digest(key, state)
    return state if is_valid and state else None


def _digest(key: bytes, state: bytes) -> bytes:
    """Include the key, so that a file renamed to another key is not valid."""
    digest = hashlib.sha256(key)
    digest.update(state)
    return digest.digest()


def _write(path: Path, content: bytes) -> None:
    """Write the file for the user only, whole or not at all."""
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
