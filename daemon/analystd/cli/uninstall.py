"""`uninstall`: the daemon's end, and that of all that analystd keeps outside of workspaces."""

from __future__ import annotations

import contextlib
import os
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import psutil

from analystd.cli.exit_status import EXIT_DONE, EXIT_FAILED
from analystd.cli.lifetime import end_daemon
from analystd.cli.parser import Options
from analystd.cli.render import print_json
from analystd.config.folders import cache_folder, state_folder, user_settings_file
from analystd.config.settings import load_settings, log_folder
from analystd.config.trust import STORE_NAME
from analystd.desk.desk_lock import noted_workspaces
from analystd.discovery.registry import DaemonInfo, kept_cards, known_cards, start_lock, temporary_place
from analystd.util.locks import take_lock
from analystd.util.logging_setup import LOG_NAME
from analystd.util.remove import Unremoved, remove
from analystd.wire.errors import InvalidArgumentsError, WorkspaceError

_START_SECONDS = 30.0
_LOST_SECONDS = 15.0

_FAREWELL = """\
The program itself is removed by what installed it: `pip uninstall analystd` (or `pipx`, `uv tool`).
In VS Code: remove the extension analystd, and settings that begin with `analystd.`; in Neovim and Emacs: the lines that name `analystd`.
If systemd starts it: `systemctl --user disable --now analystd.socket`, and remove the two unit files.
"""


_DAEMON = "[0-9a-f]" * 12
_OF_STATE = (
    *("desks", "logs", "run", "start.log", "start.lock", "activation.sock", STORE_NAME),
    *(f"{_DAEMON}.{kind}" for kind in ("sock", "lock", "new", "json")),
)
_OF_CACHE = ("models", "prefixes")


@dataclass(frozen=True)
class KeptItem:
    """Something that is kept, and what it is."""

    path: Path
    what: str
    names: tuple[str, ...] = ()
    """What of a folder is surely ours: all that is removed where a link leads to it, as others may keep things there."""


async def uninstall(options: Options) -> int:
    """List what goes, ask, stop the daemons and remove it; with `purge` the user's own data, models and settings too."""
    say: Callable[[str], None] = _say_nothing if options.json else print
    cards = known_cards()
    items = list(_items(purge=options.purge))
    _require_no_workspace_in(items)
    for card in cards:
        say(f"stop    the daemon {card.version} (pid {card.pid}), with what runs and the variables of its sessions")
    for item in items:
        say(f"remove  {item.path}{_where_it_leads(item)}  ({item.what})")
    if not cards and not items:
        say("There is nothing to remove.")
    elif not options.yes and not _agrees():
        say("Nothing was removed.")
        return EXIT_FAILED
    left, failed = _carry_out(items, say)
    for path in left:
        say(f"left    {path}{'' if options.purge else '; `--purge` removes it'}")
    for each in failed:
        say(f"failed  {each.path}  ({each.reason})")
    if options.json:
        failures = [{"path": str(each.path), "reason": each.reason} for each in failed]
        removed = [str(item.path) for item in items if not os.path.lexists(item.path)]
        print_json({"removed": removed, "left": [str(path) for path in left], "failed": failures})
    say(_FAREWELL.rstrip())
    return EXIT_FAILED if failed else EXIT_DONE


def _items(*, purge: bool) -> Iterator[KeptItem]:
    """What is there to be removed."""
    state, logs = state_folder(), log_folder(load_settings(os.environ).settings)
    candidates = _traces_of_daemons(state)
    if purge:
        candidates = [
            KeptItem(
                state, "state: logs, journals, questions and plots of chats, which project files you trust", _OF_STATE
            ),
            KeptItem(cache_folder(), "cache: models that were fetched, what models made of prompts", _OF_CACHE),
            KeptItem(user_settings_file().parent, "your settings", (f"{user_settings_file().name}*",)),
            *(KeptItem(path, "log") for path in sorted(logs.glob(f"{LOG_NAME}*")) if not logs.is_relative_to(state)),
        ]
    places = [*candidates, KeptItem(temporary_place(state), "sockets")]
    yield from (item for item in places if os.path.lexists(item.path))


def _traces_of_daemons(state: Path) -> list[KeptItem]:
    kinds = {"*.sock": "socket", "*.lock": "lock", "*.new": "draft of a card", "start.log": "log of the last start"}
    found = [KeptItem(path, what) for pattern, what in kinds.items() for path in sorted(state.glob(pattern))]
    cards = [KeptItem(path, "card") for path in sorted(state.glob("*.json")) if path.name != STORE_NAME]
    return [*found, *cards, KeptItem(state / "run", "runtime folders")]


def _carry_out(items: list[KeptItem], say: Callable[[str], None]) -> tuple[list[Path], list[Unremoved]]:
    """Stop the daemons and remove the items.

    Returns:
        What is left in the user's folders because it is not ours or was not asked for, and what could not be removed.
    """
    left: list[Path] = []
    failed: list[Unremoved] = []
    with _nobody_starts():
        for card in known_cards():
            end_daemon(card, now=True, say=say)
        _wait_for_lost_daemons()
        for item in items:
            more_left, more_failed = _remove(item)
            left += more_left
            failed += more_failed
    ours = (state_folder(), cache_folder(), user_settings_file().parent)
    for folder in ours:
        with contextlib.suppress(OSError):
            folder.rmdir()
    left += [path for folder in ours for path in _content(folder)]
    unremovable = {each.path for each in failed}
    return [path for path in left if path not in unremovable], failed


def _wait_for_lost_daemons() -> None:
    """Wait for daemons whose lock was removed or replaced: they notice it and end, but write to their logs until then."""
    deadline = time.monotonic() + _LOST_SECONDS
    for card in kept_cards():
        process = _writer(card)
        if process is not None and not card.is_live:
            with contextlib.suppress(psutil.TimeoutExpired):
                process.wait(max(0.0, deadline - time.monotonic()))


def _writer(card: DaemonInfo) -> psutil.Process | None:
    """The process that wrote a card; None where its number belongs to another one by now, which is younger than the card."""
    with contextlib.suppress(psutil.Error, OSError):
        process = psutil.Process(card.pid)
        if process.uids().real == os.getuid() and process.create_time() <= card.address.card.stat().st_mtime:
            return process
    return None


def _nobody_starts() -> contextlib.AbstractContextManager[object]:
    """Hold the start lock for as long as the block lasts, where there is a folder for it to be in and it can be had."""
    with contextlib.suppress(OSError):
        if state_folder().is_dir():
            return take_lock(start_lock(), _START_SECONDS) or contextlib.nullcontext()
    return contextlib.nullcontext()


def _remove(item: KeptItem) -> tuple[list[Path], list[Unremoved]]:
    """Remove something.

    Returns:
        What is not ours, and so left, in a folder that a link led to, and what could not be removed.
    """
    folder = Path(os.path.realpath(item.path))
    is_link = item.path.is_symlink()
    failed = remove(item.path)
    if not is_link or not folder.is_dir():
        return [], failed
    for pattern in item.names:
        for path in folder.glob(pattern):
            failed += remove(path)
    with contextlib.suppress(OSError):
        folder.rmdir()
    return _content(folder), failed


def _content(folder: Path) -> list[Path]:
    try:
        return sorted(folder.iterdir())
    except OSError:
        return []


def _require_no_workspace_in(items: list[KeptItem]) -> None:
    """Refuse to remove a folder in which someone has put a workspace."""
    for workspace in noted_workspaces(state_folder() / "desks"):
        for item in items:
            if os.path.lexists(workspace) and workspace.is_relative_to(os.path.realpath(item.path)):
                raise WorkspaceError(f"The workspace {workspace} lies in {item.path}", "Move it elsewhere first.")


def _agrees() -> bool:
    if not sys.stdin.isatty():
        raise InvalidArgumentsError("Nobody is there to be asked", "`analystd uninstall --yes` does not ask.")
    return input("Go on? [y/N] ").strip().lower() in ("y", "yes")


def _where_it_leads(item: KeptItem) -> str:
    return f" and what is analystd's in {os.path.realpath(item.path)}" if item.names and item.path.is_symlink() else ""


def _say_nothing(_line: str) -> None:
    return None
