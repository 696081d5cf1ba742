"""Where the states of prefixes lie: a folder for each model, so that a worker which a hostile model took over reaches no other model's."""

from __future__ import annotations

import hashlib
import logging
import os
from pathlib import Path

from analystd.util.remove import remove

logger = logging.getLogger(__name__)

MOST_MODELS = 4


def prefix_folder(base: Path, model: Path) -> Path | None:
    """The private folder of this version of a model, made if need be; None when it cannot be had. The `MOST_MODELS` used last have one."""
    try:
        status = model.stat()
        identity = f"{model.resolve()} {status.st_size} {status.st_mtime_ns}"
        folder = base / hashlib.sha256(identity.encode("utf-8", "surrogateescape")).hexdigest()[:32]
        for each in (base, folder):
            each.mkdir(mode=0o700, parents=True, exist_ok=True)
        os.utime(folder)
        _drop_oldest(base)
    except OSError as exc:
        logger.warning("what models make of the system prompt is not kept in %s: %s", base, exc.strerror)
        return None
    return folder


def _drop_oldest(base: Path) -> None:
    folders = [path for path in base.iterdir() if path.is_dir() and not path.is_symlink()]
    for folder in sorted(folders, key=lambda path: path.stat().st_mtime_ns, reverse=True)[MOST_MODELS:]:
        for left in remove(folder):
            logger.warning("not removed: %s", left)
