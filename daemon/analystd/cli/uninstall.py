"""`uninstall`: the daemon's end, and that of all that analystd keeps outside of workspaces."""

from __future__ import annotations

import contextlib
import os
import shutil
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from analystd.cli import EXIT_DONE, EXIT_FAILED
from analystd.cli.commands import Options
from analystd.cli.lifetime import end_daemon
from analystd.cli.render import print_json
from analystd.errors import InvalidArgumentsError, WorkspaceError
from analystd.folders import cache_folder, state_folder, user_settings_file
from analystd.locks import take_lock
from analystd.runids import LOG_NAME
from analystd.server.address import live_cards, private_folder, start_lock, temporary_place
from analystd.settings import load_settings, log_folder
from analystd.trust import STORE_NAME
from analystd.util.small_files import read_small

_START_SECONDS = 30.0

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
class Item:
    """Something that is kept, and what it is."""

    path: Path
    what: str
    names: tuple[str, ...] = ()
    """What of a folder is surely ours: all that is removed where a link leads to it, as others may keep things there."""


async def uninstall(options: Options) -> int:
    """List what goes, ask, stop the daemons and remove it; with `purge` the user's own data, models and settings too."""
    say: Callable[[str], None] = _say_nothing if options.json else print
    cards = live_cards()
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
    left = _carry_out(items, say)
    for path in left:
        say(f"left    {path}{'' if options.purge else '; `--purge` removes it'}")
    if options.json:
        print_json({"removed": [str(item.path) for item in items], "left": [str(path) for path in left]})
    say(_FAREWELL.rstrip())
    return EXIT_DONE


def _items(*, purge: bool) -> Iterator[Item]:
    """What is there to be removed."""
    state, logs = state_folder(), log_folder(load_settings(os.environ).settings)
    candidates = _traces_of_daemons(state)
    if purge:
        candidates = [
            Item(state, "state: logs, journals, which project files you trust", _OF_STATE),
            Item(cache_folder(), "cache: models that were fetched, what models made of prompts", _OF_CACHE),
            Item(user_settings_file().parent, "your settings", (f"{user_settings_file().name}*",)),
            *(Item(path, "log") for path in sorted(logs.glob(f"{LOG_NAME}*")) if not logs.is_relative_to(state)),
        ]
    yield from (item for item in [*candidates, Item(temporary_place(state), "sockets")] if _is_there(item.path))


def _traces_of_daemons(state: Path) -> list[Item]:
    kinds = {"*.sock": "socket", "*.lock": "lock", "*.new": "draft of a card", "start.log": "log of the last start"}
    found = [Item(path, what) for pattern, what in kinds.items() for path in sorted(state.glob(pattern))]
    cards = [Item(path, "card") for path in sorted(state.glob("*.json")) if path.name != STORE_NAME]
    return [*found, *cards, Item(state / "run", "runtime folders")]


def _carry_out(items: list[Item], say: Callable[[str], None]) -> list[Path]:
    """Stop the daemons and remove the items; gives what is left in the user's folders."""
    private_folder(state_folder())
    with take_lock(start_lock(), _START_SECONDS) or contextlib.nullcontext():
        for card in live_cards():
            end_daemon(card, now=True, say=say)
        left = [path for item in items for path in _remove(item)]
    ours = (state_folder(), cache_folder(), user_settings_file().parent)
    for folder in ours:
        with contextlib.suppress(OSError):
            folder.rmdir()
    return [*left, *(path for folder in ours if folder.is_dir() for path in sorted(folder.iterdir()))]


def _remove(item: Item) -> list[Path]:
    """Remove something; gives what is not ours, and left, in a folder that a link led to."""
    if not item.path.is_symlink():
        _delete(item.path)
        return []
    folder = Path(os.path.realpath(item.path))
    item.path.unlink()
    if not folder.is_dir():
        return []
    for pattern in item.names:
        for path in folder.glob(pattern):
            _delete(path)
    with contextlib.suppress(OSError):
        folder.rmdir()
    return sorted(folder.iterdir()) if folder.is_dir() else []


def _delete(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path, ignore_errors=True)
    else:
        path.unlink(missing_ok=True)


def _require_no_workspace_in(items: list[Item]) -> None:
    """Refuse to remove a folder in which someone has put a workspace."""
    for note in state_folder().glob("desks/*/workspace"):
        try:
            workspace = Path(os.fsdecode(read_small(note).rstrip(b"\n")))
        except OSError:
            continue
        for item in items:
            if workspace.exists() and workspace.is_relative_to(os.path.realpath(item.path)):
                raise WorkspaceError(f"The workspace {workspace} lies in {item.path}", "Move it elsewhere first.")


def _agrees() -> bool:
    if not sys.stdin.isatty():
        raise InvalidArgumentsError("Nobody is there to be asked", "`analystd uninstall --yes` does not ask.")
    return input("Go on? [y/N] ").strip().lower() in ("y", "yes")


def _where_it_leads(item: Item) -> str:
    return f" and what is analystd's in {os.path.realpath(item.path)}" if item.names and item.path.is_symlink() else ""


def _is_there(path: Path) -> bool:
    return path.exists() or path.is_symlink()


def _say_nothing(_line: str) -> None:
    return None
