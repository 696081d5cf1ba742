"""Protect the trusted names of a workspace: seal the user's own files in every jail, and move aside those that a jail may have made.

A jail cannot be prevented from creating a new `.git`, because Landlock has no rules about names. So the workspace is searched before a jail
starts, before and after code runs, and meanwhile. A new trusted name was made by the user if no process of any jail has run since the previous
search; then it is sealed too. Otherwise it may have been made inside a jail, and is moved aside even if the user made it. Trusted files are
known by identity, so that they may be renamed, and so that nothing that replaces one is mistaken for it.
"""

from __future__ import annotations

import contextlib
import json
import logging
import os
import threading
import time
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

from analystd.jail.activity import Activity, activity
from analystd.jail.folder_watch import FolderWatch
from analystd.jail.identity import Identity, identity
from analystd.jail.live_seals import keeper_of, missing_seals, seal_in
from analystd.jail.quarantine import MovedAside, Quarantine
from analystd.jail.survey import Found, survey
from analystd.jail.trusted_names import QUARANTINE_PREFIX, FolderShape, TrustedNames

logger = logging.getLogger(__name__)

_TRIES = 3
_SEALED_AT_START = 500
"""Maximum number of seals in a launcher's command line; the rest are applied before its first code runs."""

_LEAST_SECONDS = 0.02
_SHARE = 10
"""The pause between two searches, as a multiple of a search's duration."""

_UNWATCHED_SECONDS, _BUSY_SECONDS, _CALM_SECONDS = 0.2, 1.0, 5.0
"""The pause between two searches where inotify does not watch all folders; and between two checks for activity, with and without activity."""

_END_SECONDS, _END_LOOK_SECONDS = 2.0, 0.005

_LOOK_ANYWAY_SECONDS, _LOOK_ANYWAY_SHARE = 30.0, 100
"""A search without cause follows after this time, in case something was missed; or after this multiple of a search's duration if longer."""

_STORM_LOOKS, _STORM_SECONDS = 10, 20.0
"""Code whose files were moved aside by this many searches within this many seconds is racing with us."""


class TrustedPaths:
    """Guard the trusted names of one workspace for all of its jails.

    Unless stated otherwise, a method may block for as long as a walk through the workspace takes, so call it in a thread.
    """

    def __init__(
        self, root: Path, names: TrustedNames, quarantine: Quarantine, record: Path, *, can_seal: bool = True
    ) -> None:
        self.quarantine = quarantine
        self.on_quarantined: Callable[[MovedAside], None] = lambda entry: None
        """Called with each new entry, in any thread."""
        self.runs_under_way: Callable[[], Sequence[str]] = lambda: ()
        """Called in any thread; returns the ids of the runs that may have caused a new entry."""
        self.count = 0
        """The number of entries so far."""
        self.look_seconds = 0.0
        """The duration of the last search."""
        self._root = root
        self._names = names
        self._record = record
        self._can_seal = can_seal
        self._known: set[Identity] = set()
        """The user's own trusted files."""
        self._places: dict[Identity, tuple[str, ...]] = {}
        """The paths to seal for each of them, as of the last search."""
        self._set_aside: set[Identity] = set()
        """Items that were moved aside but had to stay in the workspace."""
        self._stuck: set[Identity] = set()
        self._jails: dict[int, int] = {}
        """The jails that may have run untrusted code: the launcher of each, and the first process inside."""
        self._calm_since: Activity | None = frozenset()
        """The activity before the last search; None if it was not recorded."""
        self._latest: deque[MovedAside] = deque(maxlen=100)
        self._storm: deque[float] = deque(maxlen=_STORM_LOOKS)
        self._lock = threading.RLock()
        self._watcher: threading.Thread | None = None
        self._folders: FolderWatch | None = None
        """Watches the workspace while a jail exists."""
        self._has_news = True
        """Whether something appeared that has not been examined."""
        self._has_seen_all = False
        self._waits_long = False
        self._size: int | None = None
        self._restore_record()

    def to_seal(self) -> tuple[Path, ...]:
        """Search, and return the paths to seal in a jail that is about to start."""
        self.look()
        with self._lock:
            return tuple(self._root / path for path in self._sealed_paths()[:_SEALED_AT_START])

    def arm(self, process: int) -> None:
        """Prepare the jail of the launcher `process` for untrusted code: seal in it what is not sealed yet.

        Raises:
            OSError: when a path cannot be sealed.
        """
        with self._lock:
            if self._folders is None:
                self._folders = FolderWatch(self._is_interesting)
            self.look()
            self._seal_missing([process], must=True)
            self._jails[process] = keeper_of(process)
            self._write_record()
            if self._watcher is None:
                self._watcher = threading.Thread(target=self._watch, name="trusted-paths", daemon=True)
                self._watcher.start()

    def disarm(self, process: int) -> None:
        """Record that a jail has ended, and search for what it left behind."""
        with self._lock:
            if process not in self._jails:
                return
            # The launcher can end a moment before the last process of its jail.
            _wait_for_end(self._jails[process])
            self.look()
            del self._jails[process]
            if not self._jails:
                # From now on only the user creates files.
                self.look()
                if self._folders is not None:
                    self._folders.wake()

    def may_have_news(self) -> bool:
        """Return whether a search is necessary: not if inotify watches all folders and reported nothing. Does not block."""
        if not self._lock.acquire(blocking=False):
            # A search is running and may be about to find something.
            return True
        try:
            folders = self._folders
            return self._has_news or folders is None or not folders.is_complete or folders.has_events()
        finally:
            self._lock.release()

    def has_run(self) -> None:
        """Record that code has run, so that the end of its activity is noticed soon; does not block."""
        folders = self._folders
        if self._waits_long and folders is not None:
            self._waits_long = False
            folders.wake()

    def look(self, *, measure: bool = False, note: bool = False) -> list[MovedAside]:
        """Search the workspace, seal what the user made, and move aside what a jail may have made.

        Args:
            measure: Whether to measure the size of the workspace too.
            note: Whether to record the activity so far, so that the next search can attribute to the user what appears while nothing runs.

        Returns:
            The new quarantine entries.
        """
        entries: list[MovedAside] = []
        with self._lock:
            for _ in range(_TRIES):
                begun = time.monotonic()
                self._has_news = False
                if self._folders is not None:
                    self._folders.read()
                calm_from = activity(self._jails) if note or not self._jails else None
                try:
                    result = survey(self._root, self._names, measure=measure, folders=self._folders)
                except OSError as exc:
                    logger.warning("The workspace %s cannot be searched: %s", self._root, exc)
                    return entries
                if measure:
                    self._size = result.size_bytes
                unknown = self._unknown(result.found)
                adopted = bool(unknown) and self._adopted(unknown)
                moved = bool(unknown) and not adopted
                if moved and (entry := self._move_aside(unknown)) is not None:
                    entries.append(entry)
                self._follow(result.found, is_new=adopted)
                # A path that was not searched may have existed before: it is not new when it is found later.
                self._has_seen_all = not moved and result.is_complete
                if not self._has_seen_all:
                    self._calm_since = None
                elif calm_from is not None:
                    self._calm_since = calm_from
                if not self._jails:
                    self._record.unlink(missing_ok=True)
                self.look_seconds = time.monotonic() - begun
                if self._has_seen_all:
                    break
        return entries

    def measure(self) -> int:
        """Search, and return the size of the workspace in bytes, including the quarantine.

        Raises:
            OSError: when the size cannot be measured.
        """
        with self._lock:
            self._size = None
            self.look(measure=True)
            size = self._last_size()
        if size is None:
            raise OSError(f"{self._root} cannot be measured")
        return size + self.quarantine.size_bytes()

    def entries_since(self, count: int) -> list[MovedAside]:
        """Return the entries after the first `count`, of the latest 100; does not block."""
        return list(self._latest)[-(self.count - count) :] if self.count > count else []

    def is_stormed(self) -> bool:
        """Return whether code repeatedly creates trusted names, as fast as they are moved aside; does not block."""
        looks = list(self._storm)
        return len(looks) == _STORM_LOOKS and time.monotonic() - looks[0] < _STORM_SECONDS and bool(self._jails)

    def adopt(self, path: str, which: Identity) -> None:
        """Treat a file that is about to be placed at `path` as the user's."""
        with self._lock:
            self._known.add(which)
            self._places[which] = (path,)
            self._set_aside.discard(which)
            self._write_record()

    def seal_now(self, paths: Iterable[str]) -> None:
        """Seal paths in all jails that run code.

        Raises:
            OSError: when a path cannot be sealed.
        """
        with self._lock:
            for process in self._jails if self._can_seal else ():
                seal_in(process, self._root, list(paths))

    def locked(self) -> threading.RLock:
        """Return the lock to hold while items are restored, so that no search happens in between."""
        return self._lock

    def _watch(self) -> None:
        """Search whenever necessary, for as long as a jail exists, and record the activity in between."""
        looked = time.monotonic()
        while (folders := self._folders) is not None:
            with self._lock:
                if not self._jails:
                    folders.close()
                    self._folders = self._watcher = None
                    return
                # In this order: if nothing new is found, the activity measured before has created nothing new.
                running = activity(self._jails)
                self._has_news |= folders.read()
                is_calm = running == self._calm_since
                must = time.monotonic() - looked > max(_LOOK_ANYWAY_SECONDS, _LOOK_ANYWAY_SHARE * self.look_seconds)
                if self._has_news or must or (not folders.is_complete and not is_calm) or not self._has_seen_all:
                    self._look_safely()
                    looked = time.monotonic()
                else:
                    self._calm_since = running
                seconds = _CALM_SECONDS if is_calm else _BUSY_SECONDS
                self._waits_long = is_calm
            time.sleep(max(_LEAST_SECONDS, _SHARE * self.look_seconds))
            folders.wait(seconds if folders.is_complete else _UNWATCHED_SECONDS)

    def _is_interesting(self, name: str) -> bool:
        # The folder's name is unknown here, so the name of an interpreter is of interest in any folder.
        return self._names.group(name, "bin") is not None or FolderShape.is_part(name)

    def _look_safely(self) -> None:
        try:
            self.look(note=True)
        except Exception:
            logger.exception("The search for trusted names failed; it will be repeated")

    def _last_size(self) -> int | None:
        return self._size

    def _unknown(self, found: Sequence[Found]) -> list[Found]:
        return [
            each
            for each in found
            if each.identity not in self._known
            and each.identity not in self._stuck
            and not (each.identity in self._set_aside and _name(each.path).startswith(QUARANTINE_PREFIX))
        ]

    def _adopted(self, unknown: Sequence[Found]) -> bool:
        """Treat unknown items as the user's, if no jail can have made them; return whether they were."""
        if self._calm_since is None or activity(self._jails) != self._calm_since:
            return False
        self._known |= {each.identity for each in unknown}
        if self._jails:
            self._write_record()
        return True

    def _move_aside(self, unknown: Sequence[Found]) -> MovedAside | None:
        try:
            entry, stuck = self.quarantine.take(unknown, self.runs_under_way())
        except OSError:
            # The next search finds it again; until then, code that continues to create such names counts as racing with us and is stopped.
            logger.exception("Items cannot be moved to the quarantine %s", self.quarantine.folder)
            self._storm.append(time.monotonic())
            return None
        self._stuck |= {each.identity for each in stuck}
        if entry is None:
            return None
        for item in entry.items:
            if item.renamed is not None:
                with contextlib.suppress(OSError):
                    self._set_aside.add(identity(None, str(self._root / item.renamed)))
        self._storm.append(time.monotonic())
        logger.warning("%s", entry.sentence())
        # Report the entry before counting it, so that a run does not end before the report.
        self.on_quarantined(entry)
        self._latest.append(entry)
        self.count += 1
        return entry

    def _follow(self, found: Sequence[Found], *, is_new: bool) -> None:
        """Update the places of the user's files, and seal those that are not sealed there; `is_new`: some of them are new."""
        places = {each.identity: each.sealed_paths for each in found if each.identity in self._known}
        has_moved, self._places = places != self._places, places
        if self._jails and (is_new or has_moved):
            self._seal_missing(self._jails)

    def _sealed_paths(self) -> list[str]:
        """Return the paths to seal, with links replaced by their targets in the workspace; outer folders first."""
        paths = {path for sealed in self._places.values() for path in sealed}
        for path in list(paths):
            if os.path.islink(self._root / path):  # noqa: PTH114
                paths.discard(path)
                target = os.path.realpath(self._root / path)
                if target.startswith(f"{self._root}/") and os.path.exists(target):  # noqa: PTH110
                    paths.add(os.path.relpath(target, self._root))
        return sorted(paths, key=lambda path: (path.count("/"), path))

    def _seal_missing(self, jails: Iterable[int], *, must: bool = False) -> None:
        if not self._can_seal:
            return
        for process in jails:
            try:
                if missing := missing_seals(process, self._root, self._sealed_paths()):
                    seal_in(process, self._root, missing)
            except OSError as exc:
                if must:
                    raise
                logger.warning("The jail of process %d could not be sealed: %s", process, exc)

    def _write_record(self) -> None:
        """Save which files are the user's, for the next daemon if this one is killed while code runs."""
        with contextlib.suppress(OSError):
            self._record.write_text(json.dumps(sorted(self._known)))

    def _restore_record(self) -> None:
        """Load the record of a daemon that was killed: files not in it may have been made by its jails."""
        try:
            self._known = {tuple(map(int, which)) for which in json.loads(self._record.read_bytes())}
        except FileNotFoundError:
            return
        except (OSError, ValueError, TypeError):
            self._known = set()
        self._calm_since = None


def _wait_for_end(process: int) -> None:
    deadline = time.monotonic() + _END_SECONDS
    while _is_alive(process) and time.monotonic() < deadline:
        time.sleep(_END_LOOK_SECONDS)


def _is_alive(process: int) -> bool:
    """Return whether a process can still act; a zombie cannot."""
    try:
        return Path(f"/proc/{process}/stat").read_bytes().rpartition(b")")[2].split()[0] not in (b"Z", b"X")
    except (OSError, IndexError):
        return False


def _name(path: str) -> str:
    return path.rpartition("/")[2]
