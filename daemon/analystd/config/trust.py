"""Store which project files the user trusts: by path and by content, so that a changed file must be trusted again.

The path is the file's own name in its real folder. A link is bound to the content too, so a link to a file that is trusted elsewhere is not
trusted.
"""

from __future__ import annotations

import hashlib
import json
import os
from pathlib import Path

from analystd.config.folders import state_folder
from analystd.util.small_files import read_small

STORE_NAME = "trusted.json"

_STORE_BYTES = 8 << 20


def trusted_files() -> dict[str, str]:
    """Return the paths of the trusted files, with the SHA-256 of their trusted content."""
    try:
        store = json.loads(read_small(_store(), _STORE_BYTES))
    except (OSError, ValueError, RecursionError):
        return {}
    return {path: str(digest) for path, digest in store.items()} if isinstance(store, dict) else {}


def is_trusted(path: Path, content: bytes) -> bool:
    """Return whether the user trusted this file with this content."""
    return trusted_files().get(_key(path)) == _digest(content)


def trust(path: Path, content: bytes) -> None:
    """Trust a file with this content.

    Raises:
        OSError: when the decision cannot be stored.
    """
    _save({**trusted_files(), _key(path): _digest(content)})


def distrust(path: Path) -> bool:
    """Stop trusting a file. Returns whether it was trusted.

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
    return str(Path(os.path.realpath(path.parent)) / path.name)


def _digest(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()
