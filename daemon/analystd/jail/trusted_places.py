"""What is executed or believed outside of the jail must not lie where code in the jail may write.

One rule, applied where a desk opens: whatever the daemon, its workers or its clients execute or believe lies outside of the workspace, or is
sealed (mounted read-only) in it; otherwise the workspace is refused. A path is looked at as the system walks it: a link on the way counts as
much as the end, and what is not there yet could be made.
"""

from __future__ import annotations

import os
import re
import tempfile
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import analystd
from analystd.config.folders import cache_folder, state_folder, user_settings_file
from analystd.config.settings import Settings, log_folder
from analystd.jail.interpreters import Interpreter, is_absolute_path, path_lines
from analystd.wire.errors import WorkspaceError

_MOST_LINKS = 40
_PART = re.compile(r"(.*)-\d{5}-of-(\d{5})\.gguf", re.DOTALL)
_ELSEWHERE = "Choose another workspace."
_LIBRARY_VARIABLES = ("LD_LIBRARY_PATH", "LD_PRELOAD", "PYTHONPATH")


@dataclass(frozen=True)
class TrustedPlace:
    """A file or folder that is executed or believed outside of the jail."""

    path: Path
    what: str
    """As in "analystd's state"."""
    advice: str = _ELSEWHERE
    can_be_sealed: bool = True
    """Whether it may lie in the workspace if it is read-only there."""
    may_surround: bool = False
    """Whether the workspace may lie in it."""


@dataclass(frozen=True)
class Seals:
    """What is made read-only in a workspace, so that what is trusted there can be trusted."""

    sealed: tuple[Path, ...] = ()
    pinned: tuple[Path, ...] = ()
    """The folders on the way there, which must not be renamed; the outermost first."""


def daemon_places(settings: Settings, own: Interpreter, runtime: Path) -> list[TrustedPlace]:
    """Return what the daemon trusts whatever the desk: what it keeps, its interpreter with its packages, its own code."""
    kept = [
        (state_folder(), "analystd's state", "XDG_STATE_HOME"),
        (user_settings_file().parent, "analystd's settings", "XDG_CONFIG_HOME"),
        (user_settings_file(), "analystd's settings", "XDG_CONFIG_HOME"),
        (cache_folder(), "analystd's cache", "XDG_CACHE_HOME"),
        (log_folder(settings), "analystd's log", "AGENT_LOG_DIR"),
        (runtime, "analystd's folder for sockets", "XDG_STATE_HOME"),
        *([(Path(settings.trace), "the trace", "AGENT_TRACE")] if settings.trace is not None else []),
    ]
    temporary = Path(tempfile.gettempdir())
    return [
        *(TrustedPlace(path, what, _outside(name), can_be_sealed=False) for path, what, name in kept),
        TrustedPlace(temporary, "the folder for temporary files", _outside("TMPDIR"), False, True),
        TrustedPlace(Path(analystd.__file__).parent, "analystd's own code"),
        *_imported_by(own),
        *_named_by(os.environ),
    ]


def desk_places(settings: Settings, python: Interpreter | None) -> list[TrustedPlace]:
    """Return what a desk's settings have executed or believed: the interpreter of its sessions, its model's files, its prompt."""
    models = [settings.model_path, *(adapter.path for adapter in settings.lora_path)]
    prompt = settings.prompt_file
    return [
        *(_started_as(python) if python is not None else ()),
        *([TrustedPlace(Path(prompt.path), "the agent's instructions")] if prompt is not None else ()),
        *(TrustedPlace(part, "a model's file") for path in models if path for part in _parts(Path(path).expanduser())),
    ]


def client_places(told: Mapping[str, object]) -> list[TrustedPlace]:
    """Return what a client runs, as its hello tells: it has an environment of its own, from which it imports outside of the jail."""
    advice = "Choose another workspace, or install analystd in an environment outside of it (pipx, uv tool)."
    names = (("program", "a client's interpreter", False), ("prefix", "a client's environment", True))
    return [
        TrustedPlace(Path(path), what, advice, may_surround=may_surround)
        for name, what, may_surround in names
        if isinstance(path := told.get(name), str) and is_absolute_path(path)
    ]


def seals_in(root: Path, places: Iterable[TrustedPlace], *, can_seal: bool) -> Seals:
    """Return what must be sealed in the workspace with the real path `root`, for nothing trusted to be in the reach of its code.

    Raises:
        WorkspaceError: that names the place and what to do, when sealing does not help or (`can_seal`) cannot be had.
    """
    sealed: dict[Path, TrustedPlace] = {}
    missing: list[tuple[Path, TrustedPlace]] = []
    for place in places:
        *links, end = steps_to(place.path)
        for link in links:
            if link.is_relative_to(root):
                if link.parent == root or not place.can_be_sealed:
                    over = f"the way to {place.what} ({place.path}) leads over the link {link} in it"
                    raise _refusal(root, f"{over}, which code could change", place)
                sealed.setdefault(link.parent, place)
        if end == root or (root.is_relative_to(end) and not place.may_surround):
            raise _refusal(root, f"it {'is' if end == root else 'lies in'} {place.what} ({place.path})", place)
        if end.is_relative_to(root):
            if not place.can_be_sealed:
                raise _refusal(root, f"{place.what} ({place.path}) would be in it, where code could change it", place)
            if os.access(end, os.F_OK):
                sealed.setdefault(end, place)
            else:
                missing.append((end, place))
    for end, place in missing:
        if not any(end.is_relative_to(each) for each in sealed):
            raise _refusal(root, f"{place.what} ({place.path}) is not there, and code could make it", place)
    for end, place in sealed.items():
        if not can_seal:
            why = "without namespaces nothing there can be made read-only"
            raise _refusal(root, f"{place.what} ({end}) would be in it, and {why}", place)
    return _seals(root, sealed)


def read_only_seals(root: Path, paths: Iterable[Path]) -> Seals:
    """Return what to seal in a workspace of what was said to be only read there."""
    return _seals(root, [path for path in paths if path != root and path.is_relative_to(root) and path.exists()])


def joined(root: Path, *seals: Seals) -> Seals:
    """Return all of them, each path once."""
    return _seals(root, [path for each in seals for path in each.sealed])


def steps_to(path: Path) -> Iterator[Path]:
    """The real paths of the links that are followed on the way to `path`, and at last of where it leads."""
    pending = list(Path(os.path.abspath(path)).parts[1:])  # noqa: PTH100
    here, links = Path("/"), 0
    while pending:
        part = pending.pop(0)
        entry = here.parent if part == ".." else here / part
        if part != ".." and entry.is_symlink() and links < _MOST_LINKS:
            links += 1
            yield entry
            target = entry.readlink()
            here = Path("/") if target.is_absolute() else here
            pending = [each for each in target.parts if each != "/"] + pending
        else:
            here = entry
    yield here


def _seals(root: Path, paths: Iterable[Path]) -> Seals:
    chosen = set(paths)
    outermost = sorted(path for path in chosen if not chosen.intersection(path.parents))
    around = {parent for path in outermost for parent in path.parents if parent != root and parent.is_relative_to(root)}
    return Seals(tuple(outermost), tuple(sorted(around)))


def _refusal(root: Path, why: str, place: TrustedPlace) -> WorkspaceError:
    return WorkspaceError(f"The workspace cannot be {root}: {why}", place.advice)


def _outside(variable: str) -> str:
    return f"Choose another workspace, or set {variable} to a folder outside of it."


def _imported_by(own: Interpreter) -> Iterator[TrustedPlace]:
    """Our own interpreter: all that it imports runs outside of the jail."""
    advice = "Choose another workspace, or install analystd in an environment outside of it (pipx, uv tool)."
    imports = dict.fromkeys([*own.imports, *path_lines(own.sites)])
    for path in own.links:
        yield TrustedPlace(path, "the interpreter of analystd", advice)
    for path in own.installation:
        yield TrustedPlace(path, "the environment of analystd", advice, may_surround=True)
    for path in own.sites:
        yield TrustedPlace(path, "the packages of analystd's interpreter", advice)
    for path in imports:
        # A project on the path may have its workspace inside: nothing is imported from a folder in there.
        is_installed = any(path.is_relative_to(each) for each in own.installation)
        yield TrustedPlace(path, "a folder that analystd imports from", advice, may_surround=not is_installed)


def _started_as(python: Interpreter) -> Iterator[TrustedPlace]:
    """Another interpreter: it runs in the jail, but says what is to be read there."""
    advice = "Choose another workspace, or set AGENT_PYTHON to an interpreter outside of it."
    for path in python.links:
        yield TrustedPlace(path, "the interpreter of the sessions", advice)
    for path in python.installation:
        yield TrustedPlace(path, "the environment of the sessions", advice, may_surround=True)
    for path in python.sites:
        yield TrustedPlace(path, "the packages of the sessions' interpreter", advice)


def _named_by(environment: Mapping[str, str]) -> Iterator[TrustedPlace]:
    """Folders from which programs load code, as our own environment names them."""
    for name in _LIBRARY_VARIABLES:
        for part in re.split(r"[: ]" if name == "LD_PRELOAD" else ":", environment.get(name, "")):
            if part.startswith("/"):
                yield TrustedPlace(Path(part), f"a place named by {name}", _outside(name), may_surround=True)


def _parts(path: Path) -> Sequence[Path]:
    """The files of a model: of one that is split, all."""
    match = _PART.fullmatch(path.name)
    if match is None:
        return [path]
    return [
        path.with_name(f"{match[1]}-{number:05}-of-{match[2]}.gguf") for number in range(1, min(int(match[2]), 999) + 1)
    ]
