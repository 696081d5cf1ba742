"""Find the paths that a Python interpreter needs to start and to import packages.

An interpreter is a program that somebody else may have changed. Our own is already running; another one is queried inside the sandbox, where
it can reach its own installation and nothing else. Its answer is treated as untrusted: limited in size, and believed only where it names
folders that contain Python.
"""

from __future__ import annotations

import contextlib
import json
import logging
import os
import select
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

from analystd.config.folders import cache_folder, state_folder, user_settings_file
from analystd.util.small_files import read_small

logger = logging.getLogger(__name__)

_ASK_SECONDS = 20.0
_ANSWER_BYTES = 64 * 1024
_MOST_FOLDERS = 256
_MOST_ENTRIES = 5000
_PATH_BYTES = 4095
_PYTHON_SUFFIXES = (".py", ".pyc", ".so", ".pth", ".dist-info", ".egg-info", ".egg")

ASK = """
import json, site, sys
user = site.getuserbase() if site.ENABLE_USER_SITE else None
sites = [*site.getsitepackages(), *([site.getusersitepackages()] if user else [])]
prefixes = [sys.prefix, sys.base_prefix, sys.exec_prefix]
print(json.dumps({"user": user, "sites": sites, "prefixes": prefixes, "path": sys.path}))
"""

Ask = Callable[[Sequence[str], Sequence[Path]], tuple[list[str], Mapping[str, str]]]
"""Return the command line and the environment that run a program in a sandbox in which it can read the given folders."""


@dataclass(frozen=True)
class Interpreter:
    """The paths that one Python interpreter needs to start and to import packages."""

    program: Path
    links: tuple[Path, ...]
    """Its executable, and the links that lead to it."""
    installation: tuple[Path, ...]
    """Its installation folders (prefixes)."""
    sites: tuple[Path, ...]
    """The folders whose `.pth` files it processes."""
    imports: tuple[Path, ...]
    """The folders of its `sys.path` when it starts without a script."""
    user_base: Path | None
    """Where `pip install --user` puts packages, if this interpreter imports from there."""

    @property
    def paths(self) -> tuple[Path, ...]:
        """All paths that it must be able to read."""
        return tuple(dict.fromkeys([*self.links, *self.installation, *self.sites, *self.imports]))


def own_interpreter() -> Interpreter:
    """Return what this interpreter needs. A child process reports it, because our `sys.path` begins with the folder of our script."""
    program = Path(sys.executable)
    return _described(program, _answer([str(program), "-E", "-c", ASK], os.environ))


def other_interpreter(program: Path, ask: Ask) -> Interpreter:
    """Return what another interpreter reports that it needs, as far as the report can be trusted."""
    command, environment = ask([str(program), "-E", "-c", ASK], [*links_to(program), *_surroundings(program)])
    return _described(program, _answer(command, environment))


def links_to(program: Path) -> tuple[Path, ...]:
    """Return a program and the links that lead to it; all of them must be readable to start it."""
    seen: dict[Path, None] = {}
    while program not in seen:
        seen[program] = None
        if program.is_symlink():
            program = Path(os.path.normpath(program.parent / program.readlink()))
    return tuple(seen)


def path_lines(sites: Iterable[Path]) -> Iterator[Path]:
    """Yield the folders that `.pth` files in these folders add to `sys.path`, whether they exist or not."""
    for folder in sites:
        for file in islice(sorted(folder.glob("*.pth")), _MOST_FOLDERS):
            try:
                lines = read_small(file).decode("utf-8", "replace").splitlines()
            except OSError:
                continue
            for line in lines:
                if line.strip() and not line.startswith(("#", "import ", "import\t")):
                    yield Path(os.path.normpath(folder / line.strip()))


def _described(program: Path, answer: Mapping[str, object]) -> Interpreter:
    links = links_to(program)
    prefixes = _folders(answer.get("prefixes")) or [program.parent.parent]
    installation = tuple(dict.fromkeys(filter(_is_installation, _open_to_sessions(prefixes))))
    sites = tuple(_importable(_folders(answer.get("sites")), installation))
    claimed = [*_folders(answer.get("path")), *path_lines(sites)]
    user = answer.get("user")
    return Interpreter(
        program,
        links,
        installation,
        sites,
        tuple(dict.fromkeys(_importable(claimed, installation))),
        Path(user) if isinstance(user, str) and any(site.is_relative_to(user) for site in sites) else None,
    )


def _answer(command: Sequence[str], environment: Mapping[str, str]) -> Mapping[str, object]:
    """Return an interpreter's report about itself; empty when it gives no valid report in time."""
    try:
        answer = json.loads(_output(command, environment))
        if isinstance(answer, dict):
            return answer
        raise ValueError("its answer is not a JSON object")
    except (OSError, ValueError, RecursionError) as exc:
        logger.warning("%s did not report its folders: %s", command[-4], exc)
    return {}


def _output(command: Sequence[str], environment: Mapping[str, str]) -> bytes:
    """Return the output of a program; kill it when it prints too much or takes too long.

    Raises:
        OSError: when it prints too much, takes too long, cannot be started or fails.
    """
    deadline = time.monotonic() + _ASK_SECONDS
    output = b""
    with subprocess.Popen(
        command,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        env=dict(environment),
        cwd="/",
        start_new_session=True,
    ) as process:
        assert process.stdout is not None
        try:
            while len(output) <= _ANSWER_BYTES:
                if not select.select([process.stdout], [], [], max(0.0, deadline - time.monotonic()))[0]:
                    raise TimeoutError(f"no answer after {_ASK_SECONDS:g} s")
                if not (part := os.read(process.stdout.fileno(), 65536)):
                    break
                output += part
            else:
                raise OSError(f"its answer is longer than {_ANSWER_BYTES} bytes")
            if status := process.wait(max(0.1, deadline - time.monotonic())):
                raise OSError(f"exit status {status}")
        except subprocess.TimeoutExpired as exc:
            raise TimeoutError(f"it did not end within {_ASK_SECONDS:g} s") from exc
        finally:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
    return output


def _surroundings(program: Path) -> Iterator[Path]:
    """Yield the probable installation folders of an interpreter, without running it."""
    for link in links_to(program):
        settings = link.parent.parent / "pyvenv.cfg"
        homes = [link.parent]
        try:
            lines = read_small(settings).decode("utf-8", "replace").splitlines()
        except OSError:
            lines = []
        for name, _, value in (line.partition("=") for line in lines):
            if name.strip() == "home" and Path(value.strip()).is_absolute():
                homes += [home.parent for home in links_to(Path(value.strip()) / link.name)]
        yield from _open_to_sessions(home.parent for home in homes)


def _folders(claim: object) -> list[Path]:
    """Return the valid folder names in an answer."""
    names = claim if isinstance(claim, list) else []
    return [Path(name) for name in names[:_MOST_FOLDERS] if isinstance(name, str) and is_absolute_path(name)]


def is_absolute_path(name: str) -> bool:
    """Whether untrusted text is a possible absolute path."""
    return name.startswith("/") and "\0" not in name and len(name.encode("utf-8", "surrogatepass")) <= _PATH_BYTES


def _is_installation(folder: Path) -> bool:
    return os.access(folder / "pyvenv.cfg", os.R_OK) or any(
        any(folder.glob(f"{name}/python*")) for name in ("lib", "lib64")
    )


def _importable(folders: Iterable[Path], around: Sequence[Path]) -> Iterator[Path]:
    """Yield the folders that may be read for imports: those of the installation, and others that contain Python."""
    for folder in _open_to_sessions(folders):
        if any(folder.is_relative_to(place) for place in around) or _holds_python(folder):
            yield folder
        else:
            logger.warning("%s is on an interpreter's path but contains no Python: sessions cannot read it", folder)


def _open_to_sessions(folders: Iterable[Path]) -> Iterator[Path]:
    """Yield the existing folders, except those that contain the user's home, or that contain or lie in analystd's own folders.

    An interpreter's path must not make private files readable.
    """
    home = Path(os.path.realpath(Path.home()))
    ours = [Path(os.path.realpath(path)) for path in (state_folder(), user_settings_file().parent, cache_folder())]
    for folder in folders:
        real = Path(os.path.realpath(folder))
        if not os.access(real, os.F_OK):
            continue
        if any(each.is_relative_to(real) for each in (home, *ours)) or any(map(real.is_relative_to, ours[:2])):
            logger.warning(
                "%s is on an interpreter's path but sessions cannot read it: it contains the user's own files", folder
            )
            continue
        yield folder


def _holds_python(folder: Path) -> bool:
    if folder.suffix in (".zip", ".egg"):
        return True
    try:
        with os.scandir(folder) as entries:
            return any(
                entry.name.endswith(_PYTHON_SUFFIXES) or Path(entry.path, "__init__.py").is_file()
                for entry in islice(entries, _MOST_ENTRIES)
            )
    except OSError:
        return False
