"""Keep everything that is executed or trusted outside of the jail away from where code in the jail may write.

One rule applies when a desk opens: everything that the daemon, its workers or its clients execute or trust lies outside of the workspace, or is
sealed (mounted read-only) in it; otherwise the workspace is refused. Paths are checked as the system resolves them: a link on the way matters
as much as the end, and what does not exist yet could be created.
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
    """A file or folder that is executed or trusted outside of the jail."""

    path: Path
    what: str
    """A description for messages, as in "analystd's state"."""
    advice: str = _ELSEWHERE
    can_be_sealed: bool = True
    """Whether it may be in the workspace if it is read-only there."""
    may_surround: bool = False
    """Whether the workspace may be inside it."""


@dataclass(frozen=True)
class Seals:
    """The paths to make read-only in a workspace, so that trusted places in it cannot be changed."""

    sealed: tuple[Path, ...] = ()
    pinned: tuple[Path, ...] = ()
    """The folders on the way to sealed paths, which must not be renamed; the outermost first."""


def daemon_places(settings: Settings, own: Interpreter, runtime: Path) -> list[TrustedPlace]:
    """Return the places that the daemon trusts for every desk: its data, its interpreter and packages, its own code."""
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
    """Return the places that a desk's settings name: its sessions' interpreter, its model's files, its prompt."""
    models = [settings.model_path, *(adapter.path for adapter in settings.lora_path)]
    prompt = settings.prompt_file
    return [
        *(_started_as(python) if python is not None else ()),
        *([TrustedPlace(Path(prompt.path), "the agent's instructions")] if prompt is not None else ()),
        *(TrustedPlace(part, "a model's file") for path in models if path for part in _parts(Path(path).expanduser())),
    ]


def client_places(hello: Mapping[str, object]) -> list[TrustedPlace]:
    """Return the places that a client runs code from, as its hello reports: it has its own environment outside of the jail."""
    advice = "Choose another workspace, or install analystd in an environment outside of it (pipx, uv tool)."
    names = (("program", "a client's interpreter", False), ("prefix", "a client's environment", True))
    return [
        TrustedPlace(Path(path), what, advice, may_surround=may_surround)
        for name, what, may_surround in names
        if isinstance(path := hello.get(name), str) and is_absolute_path(path)
    ]


def seals_in(root: Path, places: Iterable[TrustedPlace], *, can_seal: bool) -> Seals:
    """Return what must be sealed in the workspace with the real path `root`, so that its code cannot change any trusted place.

    Raises:
        WorkspaceError: naming the place and the remedy, when sealing does not help or is not available (`can_seal` is False).
    """
    sealed: dict[Path, TrustedPlace] = {}
    missing: list[tuple[Path, TrustedPlace]] = []
    for place in places:
        *links, end = steps_to(place.path)
        for link in links:
            if link.is_relative_to(root):
                if link.parent == root or not place.can_be_sealed:
                    over = f"the path of {place.what} ({place.path}) goes through the link {link} in it"
                    raise _refusal(root, f"{over}, which code could change", place)
                sealed.setdefault(link.parent, place)
        if end == root or (root.is_relative_to(end) and not place.may_surround):
            raise _refusal(root, f"it {'is' if end == root else 'is inside'} {place.what} ({place.path})", place)
        if end.is_relative_to(root):
            if not place.can_be_sealed:
                raise _refusal(root, f"{place.what} ({place.path}) would be in it, where code could change it", place)
            if os.access(end, os.F_OK):
                sealed.setdefault(end, place)
            else:
                missing.append((end, place))
    for end, place in missing:
        if not any(end.is_relative_to(each) for each in sealed):
            raise _refusal(root, f"{place.what} ({place.path}) does not exist, and code could create it", place)
    for end, place in sealed.items():
        if not can_seal:
            why = "it cannot be made read-only there without namespaces"
            raise _refusal(root, f"{place.what} ({end}) would be in it, and {why}", place)
    return _seals(root, sealed)


def read_only_seals(root: Path, paths: Iterable[Path]) -> Seals:
    """Return the seals for those of `paths`, which are to be read-only, that lie in the workspace."""
    return _seals(root, [path for path in paths if path != root and path.is_relative_to(root) and path.exists()])


def joined(root: Path, *seals: Seals) -> Seals:
    """Return the union of several sets of seals."""
    return _seals(root, [path for each in seals for path in each.sealed])


def steps_to(path: Path) -> Iterator[Path]:
    """Yield the real path of each link on the way to `path`, and finally the real path of its target."""
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
    """Yield the places of our own interpreter: everything that it imports runs outside of the jail."""
    advice = "Choose another workspace, or install analystd in an environment outside of it (pipx, uv tool)."
    imports = dict.fromkeys([*own.imports, *path_lines(own.sites)])
    for path in own.links:
        yield TrustedPlace(path, "the interpreter of analystd", advice)
    for path in own.installation:
        yield TrustedPlace(path, "the environment of analystd", advice, may_surround=True)
    for path in own.sites:
        yield TrustedPlace(path, "the packages of analystd's interpreter", advice)
    for path in imports:
        # A project on the path may contain its workspace: nothing is imported from such a subfolder.
        is_installed = any(path.is_relative_to(each) for each in own.installation)
        yield TrustedPlace(path, "a folder that analystd imports from", advice, may_surround=not is_installed)


def _started_as(python: Interpreter) -> Iterator[TrustedPlace]:
    """Yield the places of the sessions' interpreter: it runs in the jail, but determines what is readable there."""
    advice = "Choose another workspace, or set AGENT_PYTHON to an interpreter outside of it."
    for path in python.links:
        yield TrustedPlace(path, "the interpreter of the sessions", advice)
    for path in python.installation:
        yield TrustedPlace(path, "the environment of the sessions", advice, may_surround=True)
    for path in python.sites:
        yield TrustedPlace(path, "the packages of the sessions' interpreter", advice)


def _named_by(environment: Mapping[str, str]) -> Iterator[TrustedPlace]:
    """Yield the folders named by our environment from which programs load code."""
    for name in _LIBRARY_VARIABLES:
        for part in re.split(r"[: ]" if name == "LD_PRELOAD" else ":", environment.get(name, "")):
            if part.startswith("/"):
                yield TrustedPlace(Path(part), f"a place named by {name}", _outside(name), may_surround=True)


def _parts(path: Path) -> Sequence[Path]:
    """Return the files of a model: for a split one, all parts."""
    match = _PART.fullmatch(path.name)
    if match is None:
        return [path]
    return [
        path.with_name(f"{match[1]}-{number:05}-of-{match[2]}.gguf") for number in range(1, min(int(match[2]), 999) + 1)
    ]
