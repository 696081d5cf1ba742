"""Verify files of known content by their SHA-256, and remember the results while the files do not change.

Hashing a file of gigabytes takes seconds. Results are stored with size, modification time and inode in a small file in the cache.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import re
import tempfile
from pathlib import Path

from analystd.config.folders import cache_folder

_MOST_REMEMBERED = 1000
_MOST_BYTES = 1 << 20
_SHA256 = re.compile(r"[0-9a-f]{64}")


def sha256_of(path: Path) -> str:
    """Return the SHA-256 of a file's content, without reading it if it has not changed since it was last read.

    Raises:
        OSError: when it cannot be read.
    """
    state = _state(path)
    remembered = _remembered()
    known = remembered.get(str(path.resolve()))
    if known is not None and known[:-1] == state:
        return known[-1]
    with path.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    if _state(path) == state:
        _remember(remembered, path, state, digest)
    return digest


def remember(path: Path, digest: str) -> None:
    """Store the hash of a file that was just verified."""
    with contextlib.suppress(OSError):
        _remember(_remembered(), path, _state(path), digest)


def hub_sha256(path: Path) -> str | None:
    """Return the hash in the name of a file in Hugging Face's cache, which names files so and links to them; None for other files."""
    target = path.resolve()
    return target.name if target.parent.name == "blobs" and _SHA256.fullmatch(target.name) else None


def _state(path: Path) -> list[str]:
    status = path.stat()
    return [str(status.st_size), str(status.st_mtime_ns), str(status.st_ino)]


def _store() -> Path:
    return cache_folder() / "known_files.json"


def _remembered() -> dict[str, list[str]]:
    """Return the stored hashes; empty where their file is missing or invalid."""
    try:
        store = _store()
        if store.stat().st_size > _MOST_BYTES:
            return {}
        entries = json.loads(store.read_bytes())
    except (OSError, ValueError, RecursionError):
        return {}
    if not isinstance(entries, dict):
        return {}
    return {
        path: known
        for path, known in entries.items()
        if isinstance(known, list) and len(known) == 4 and all(isinstance(each, str) for each in known)
    }


def _remember(remembered: dict[str, list[str]], path: Path, state: list[str], digest: str) -> None:
    """Store a hash, whole or not at all. If it cannot be stored, the file is read again the next time."""
    remembered.pop(str(path.resolve()), None)
    remembered[str(path.resolve())] = [*state, digest]
    newest = dict(list(remembered.items())[-_MOST_REMEMBERED:])
    with contextlib.suppress(OSError):
        store = _store()
        store.parent.mkdir(parents=True, exist_ok=True)
        descriptor, draft = tempfile.mkstemp(prefix=".known_files-", dir=store.parent)
        try:
            with os.fdopen(descriptor, "w") as file:
                json.dump(newest, file)
            Path(draft).replace(store)
        except BaseException:
            Path(draft).unlink(missing_ok=True)
            raise
