"""Which project files the user believes: by path and by content, so that a changed file has to be believed anew."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

from analystd.folders import state_folder

STORE_NAME = "trusted.json"


def trusted_files() -> dict[str, str]:
    """The real paths of the files that are trusted, with the SHA-256 of what they held."""
    try:
        store: dict[str, str] = json.loads(_store().read_text())
    except (OSError, ValueError):
        return {}
    return store


def is_trusted(path: Path, content: bytes) -> bool:
    """Whether the user trusted this file with this very content."""
    return trusted_files().get(_key(path)) == _digest(content)


def trust(path: Path) -> None:
    """Believe a file as it is now.

    Raises:
        OSError: when it cannot be read, or the decision cannot be stored.
    """
    _save({**trusted_files(), _key(path): _digest(path.read_bytes())})


def distrust(path: Path) -> bool:
    """Believe a file no longer; whether it was trusted.

    Raises:
        OSError: when the decision cannot be stored.
    """
    store = trusted_files()
    if _key(path) not in store:
        return False
    del store[_key(path)]
    _save(store)
    return True


def _store() -> Path:
    return state_folder() / STORE_NAME


def _save(store: dict[str, str]) -> None:
    _store().parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    draft = _store().with_suffix(".new")
    draft.write_text(json.dumps(store, indent=1))
    draft.replace(_store())


def _key(path: Path) -> str:
    return str(path.resolve())


def _digest(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()
