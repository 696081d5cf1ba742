"""Seal paths in jails that are already running."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from analystd.jail import seals
from analystd.jail.process_tree import process_tree

_SECONDS = 20
_OCTAL = re.compile(r"\\([0-7]{3})")


def missing_seals(process: int, root: Path, paths: Sequence[str]) -> list[str]:
    """Return the paths, relative to `root`, that are not sealed in the jail of the launcher `process`; all if it has ended."""
    if not paths:
        return []
    try:
        lines = Path(f"/proc/{keeper_of(process)}/mountinfo").read_text("utf-8", "surrogateescape").splitlines()
    except OSError:
        return list(paths)
    mounted = {_OCTAL.sub(lambda match: chr(int(match[1], 8)), line.split(" ", 5)[4]) for line in lines}
    return [path for path in paths if f"{root}/{path}" not in mounted]


def seal_in(process: int, root: Path, paths: Sequence[str]) -> list[str]:
    """Seal paths, relative to `root`, in the jail of the launcher `process`; return those that are sealed.

    Raises:
        OSError: when sealing fails although the jail is running.
    """
    done = subprocess.run(
        [sys.executable, "-I", "-S", seals.__file__, str(keeper_of(process)), str(root)],
        input=b"".join(os.fsencode(path) + b"\0" for path in paths),
        capture_output=True,
        timeout=_SECONDS,
        check=False,
    )
    if done.returncode == 0:
        return list(json.loads(done.stdout))
    if not process_tree(process):
        return []
    raise OSError((done.stderr.decode("utf-8", "replace").strip().splitlines() or ["no answer"])[-1])


def keeper_of(process: int) -> int:
    """Return the first process inside the jail, a child of the launcher `process`; the launcher itself if it has no child."""
    return (process_tree(process)[1:2] or [process])[0]
