"""The hub: what all connections share, namely the desks, the engine and the sandbox."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any, Protocol, cast

import psutil

from analystd import __version__
from analystd.config.folders import make_private, state_folder, user_settings_file
from analystd.config.settings import Loaded, Settings, load_settings
from analystd.data.worker_client import DataWorker
from analystd.desk.desk import Desk, Equipment, model_turns
from analystd.desk.desk_lock import DeskLock, wait_until_free
from analystd.desk.journal import Journal
from analystd.engine.base import Engine
from analystd.engine.factory import make_engine
from analystd.engine.llama.worker_sandbox import WorkerSandbox
from analystd.jail.quarantine import Quarantine
from analystd.jail.sandbox import Sandbox, measure_sandbox
from analystd.jail.trusted_paths import TrustedPaths
from analystd.jail.trusted_places import Seals, TrustedPlace
from analystd.jail.workspace import Workspace
from analystd.jail.workspace_place import made_workspace
from analystd.kernel.launch import Launch
from analystd.kernel.resource_guard import watchdog
from analystd.kernel.session_factory import SessionFactory
from analystd.server.desk_status import DeskReports
from analystd.server.drain import Drain, kept_by
from analystd.server.ground import Ground, exposed_notices, python_of, unsealed_reading
from analystd.server.runtime_folder import new_runtime_folder, remove_logged
from analystd.server.settings_in_force import (
    daemon_notices,
    desk_notices,
    foreign_model_settings,
    needs_opening,
    taken_up,
    tightened_notices,
)
from analystd.util.logging_setup import Log
from analystd.wire.errors import StoppingError, WorkspaceError
from analystd.wire.names import PROTOCOL_VERSION
from analystd.wire.status import ClientInfo, DaemonStatus, EngineState

logger = logging.getLogger(__name__)

_REMOVE_SECONDS = 5.0
_END_SECONDS = 8.0
"""Maximum time to close one desk, or the model's worker."""

_DESK_SECONDS = 5.0
"""Maximum time to wait for another daemon, which may be ending, to release a desk."""

_TELL_SECONDS = 2.0
"""Maximum time for sessions to report what they hold."""


class HubConnection(Protocol):
    """A connection, as far as the hub uses it."""

    def info(self) -> ClientInfo:
        """Return what `status` reports about it."""
        ...

    def leave(self) -> None:
        """End it."""
        ...


class Hub:
    """The shared state of a daemon. Connections come and go; the desks that they opened stay."""

    def __init__(self, loaded: Loaded, sandbox: Sandbox, log: Log) -> None:
        self.loaded = loaded
        self._log = log
        self.sandbox = sandbox
        self.started_at = time.time()
        self.last_activity = time.monotonic()
        self.stopping = asyncio.Event()
        self.clients: set[HubConnection] = set()
        self.desks: dict[Path, Desk] = {}
        self._seals: dict[Path, Seals] = {}
        """What is read-only in the workspace of each open desk."""
        self._model_settings: Settings | None = None
        self._engine: Engine | None = None
        self._model_turns = model_turns()
        self._runtime = new_runtime_folder()
        self._ground = Ground(loaded.settings, sandbox, self._runtime)
        self._background: set[asyncio.Future[Any]] = set()
        self._lock = asyncio.Lock()
        self._reports = DeskReports()
        self.drain = Drain(self.desks, self._release)
        self.on_making_way: Callable[[], None] = lambda: None
        """Called when this daemon begins to make way for a newer version."""

    @classmethod
    async def create(cls, environment: Mapping[str, str], log: Log) -> Hub:
        """Measure the sandbox, and return a hub with the daemon's own settings."""
        loaded = load_settings(environment)
        for problem in (*loaded.problems, *log.problems):
            logger.warning("%s", problem)
        sandbox = await measure_sandbox(loaded.settings.sandbox)
        logger.info("sandbox: %s (%s)", sandbox.level, sandbox.reason)
        return cls(loaded, sandbox, log)

    @property
    def settings(self) -> Settings:
        """The daemon's own settings; each desk has its own, which include those of its project."""
        return self.loaded.settings

    @property
    def engine(self) -> Engine:
        """The engine that all desks share, made with the settings of the first desk."""
        assert self._engine is not None
        return self._engine

    async def desk(
        self, folder: Path, environment: Mapping[str, str], of_client: Sequence[TrustedPlace] = ()
    ) -> tuple[Desk, list[str]]:
        """Return the desk of a workspace folder, opened if necessary, and the notices for the client about its settings.

        `of_client` names the places that the client runs code from, which code at a desk must not reach.

        Raises:
            WorkspaceError: when the folder cannot be used; `DeskInUseError` when another daemon does not release it.
        """
        self._refuse_to_replace(Path(os.path.realpath(folder)))
        root = made_workspace(folder)
        notices = await self._made_room(root)
        loaded = load_settings(environment, project=root.parent)
        if root not in self.desks:
            await wait_until_free(state_folder() / "desks", root, _DESK_SECONDS)
            # Another interpreter is queried inside the sandbox, which may take a while.
            await asyncio.to_thread(self.sandbox.interpreter, python_of(loaded.settings))
        async with self._lock:
            if self.stopping.is_set():
                # Never answer: the connection ends with the daemon, and the client connects to the next one.
                await asyncio.get_running_loop().create_future()
            notices += await self._taken_up(root, loaded, of_client)
            if root not in self.desks:
                await self._open_with(root, loaded.settings, of_client)
            assert self._model_settings is not None
            notices += [
                *loaded.problems,
                *daemon_notices(loaded, self.settings, self.started_at),
                *foreign_model_settings(loaded.settings, self._model_settings),
                *unsealed_reading(root, loaded.settings, self.sandbox),
            ]
            if (notice := await self.desks[root].own_toolbox.notice()) is not None:
                notices.append(notice)
        return self.desks[root], notices

    async def _taken_up(self, root: Path, loaded: Loaded, of_client: Sequence[TrustedPlace]) -> list[str]:
        """Apply the settings of a client to an open desk, and return the notices for the client.

        If the settings, or what the client runs, require the desk to be opened anew, it is closed, unless it has other clients, runs or variables.
        """
        desk = self.desks.get(root)
        if desk is None:
            return []
        asked, before = loaded.settings, desk.settings
        alone = not desk.runs.active and not any(client.info()["workspace"] == str(root) for client in self.clients)
        unsealed = await self._told_of_reach(desk, of_client)
        if alone and (unsealed or needs_opening(asked, before)) and await _holds_nothing(desk):
            del self.desks[root]
            await desk.aclose()
            logger.info("desk closed, to be opened with other settings: %s", root)
            return []
        desk.take_up(taken_up(asked, before, alone=alone))
        told = [] if alone else tightened_notices(before, desk.settings)
        return told + unsealed + desk_notices(loaded, desk.settings, desk.opened_at)

    async def _told_of_reach(self, desk: Desk, of_client: Sequence[TrustedPlace]) -> list[str]:
        """Return warnings for a client if the code at an open desk could change what the client runs."""
        root, seals, trusted = desk.workspace.root, self._seals[desk.workspace.root], desk.workspace.trusted_paths
        if trusted is not None and exposed_notices(root, seals, of_client, self.sandbox):
            found = await asyncio.to_thread(trusted.to_seal) if self.sandbox.level == "full" else ()
            seals = Seals((*seals.sealed, *found), seals.pinned)
        return exposed_notices(root, seals, of_client, self.sandbox)

    async def _open_with(self, root: Path, settings: Settings, of_client: Sequence[TrustedPlace]) -> None:
        """Open a desk with its own settings, after making sure that its code cannot change anything that is trusted.

        Raises:
            StoppingError: when the daemon makes way for a newer version.
        """
        if self.drain.makes_way:
            raise StoppingError(str(self.drain.reason), "Connect again.")
        others = {other: self._seals[other] for other in self.desks}
        self._seals[root] = self._ground.seals(root, settings, self._model_settings or settings, others, of_client)
        if self._model_settings is None:
            self._model_settings = settings
            self._engine = make_engine(settings, WorkerSandbox(self.sandbox, self._runtime / "model"))
        self.desks[root] = await self._open(root, settings)
        logger.info("desk opened: %s", root)

    async def status(self) -> DaemonStatus:
        """Return the state of the whole daemon: version, clients, engine, sandbox, memory, paths and desks."""
        return {
            "protocol": PROTOCOL_VERSION,
            "version": __version__,
            "pid": os.getpid(),
            "uptime_seconds": round(time.time() - self.started_at, 1),
            "clients": sorted((client.info() for client in self.clients), key=lambda info: str(info["name"])),
            "engine": cast(EngineState, asdict(self._engine.info())) if self._engine is not None else None,
            "sandbox": {"level": self.sandbox.level, "reason": self.sandbox.reason, "gaps": list(self.sandbox.gaps)},
            "memory_bytes": psutil.Process().memory_info().rss,
            "settings_file": str(user_settings_file()),
            "log": str(self._log.path),
            "problems": [*self.loaded.problems, *self._log.problems],
            "desks": await self._reports.all(list(self.desks.values())),
        }

    @property
    def idle(self) -> bool:
        """Whether the daemon may end: it has no client, no run, and no session that holds variables."""
        return not self.clients and not any(
            desk.runs.active or desk.sessions.hold_variables for desk in self.desks.values()
        )

    def touch(self) -> None:
        """Record that the daemon is in use."""
        self.last_activity = time.monotonic()

    def spawn(self, work: Awaitable[Any]) -> None:
        """Run something in the background; if it fails, the failure is logged."""
        task = asyncio.ensure_future(work)
        self._background.add(task)
        task.add_done_callback(self._background.discard)

    async def stop_after_runs(self) -> None:
        """Accept no new runs, and stop the daemon when the active ones have ended."""
        self.drain.begin("The daemon was told to stop after its runs; it takes no new ones")
        await self.drain.runs_over()
        self.stopping.set()

    async def make_way(self, version: str) -> None:
        """Release each desk to a newer version, and stop the daemon after the last one."""
        self.drain.begin(
            f"analystd {version} takes over from {__version__} when the runs under way have ended; no new ones are taken",
            makes_way=True,
        )
        self.on_making_way()
        await self.drain.desks_released()
        self.stopping.set()

    def announce_loss(self, reason: str) -> None:
        """Announce to all clients why the daemon ends, and which variables end with it."""
        for desk in self.desks.values():
            desk.announce_loss(reason)

    async def release_lost_desks(self) -> None:
        """Close desks whose state was removed, since what they record would not last; clients that reconnect get a new desk."""
        for desk in [desk for desk in self.desks.values() if desk.has_lost_state]:
            await self._replace(desk, f"The state of the workspace {desk.workspace.root} was removed")

    async def aclose(self) -> None:
        """Close all desks and workers, each even if closing another one fails. Harmless when repeated."""
        await asyncio.gather(*(_ended(f"the desk of {root}", desk.aclose()) for root, desk in self.desks.items()))
        if self._engine is not None:
            await _ended("the model's worker", self._engine.aclose())
        await asyncio.to_thread(remove_logged, self._runtime, _REMOVE_SECONDS)

    def _refuse_to_replace(self, root: Path) -> None:
        """Refuse to create a missing folder anew while its desk has runs or variables, because the folder may come back.

        Raises:
            WorkspaceError: when that is so.
        """
        desk = self.desks.get(root)
        if desk is not None and (desk.runs.active or desk.sessions.hold_variables) and not os.path.lexists(root):
            desk.presence.require()

    async def _made_room(self, root: Path) -> list[str]:
        """Close the desk of an earlier folder at this path.

        Returns:
            Notices for the client about that.
        """
        desk = self.desks.get(root)
        if desk is None or not desk.presence.is_replaced:
            return []
        held = desk.sessions.hold_variables
        reason = _replaced(root)
        await self._replace(desk, reason)
        return [f"{reason}; the Python sessions of the former one have ended, with their variables."] if held else []

    async def _replace(self, desk: Desk, reason: str) -> None:
        if self.desks.get(desk.workspace.root) is not desk:
            return
        logger.warning("%s; its desk is closed", reason)
        desk.announce_loss(reason)
        await self._release(desk)

    async def _release(self, desk: Desk) -> None:
        """Close a desk so that it can be opened anew, by this daemon or another, and disconnect its clients, which then reconnect."""
        root = desk.workspace.root
        if self.desks.get(root) is desk:
            del self.desks[root]
        for client in list(self.clients):
            if client.info()["workspace"] == str(root):
                client.leave()
        await _ended(f"the desk of {root}", desk.aclose())
        logger.info("desk released: %s", root)

    async def _open(self, root: Path, settings: Settings) -> Desk:
        try:
            state = DeskLock.claim(state_folder() / "desks", root)
            try:
                # Rebuilding the index of runs, where that is necessary, takes seconds.
                journal = await asyncio.to_thread(Journal, state.journal)
                return self._desk_with(state, journal, root, settings)
            except BaseException:
                state.release()
                raise
        except OSError as exc:
            raise WorkspaceError(
                f"The desk of {root} cannot be kept in {state_folder()}: {exc.strerror}",
                "Make room there, or set XDG_STATE_HOME to a folder that can be written.",
            ) from exc

    def _desk_with(self, state: DeskLock, journal: Journal, root: Path, settings: Settings) -> Desk:
        workspace = Workspace.of_settings(root, settings)
        runtime = self._runtime / state.folder.name[:8]
        # A cleanup program may have removed the daemon's runtime folder.
        make_private(runtime)

        seals, python = self._seals[root], python_of(settings)
        workspace.trusted_paths = trusted = self._trusted_paths(state, workspace)
        read, sealed, pinned = workspace.read_only_paths, seals.sealed, seals.pinned
        launch = Launch(root, runtime, self.sandbox, read, python, trusted, sealed=sealed, pinned=pinned)
        supply = SessionFactory(launch, watchdog(workspace, runtime=runtime))
        data = DataWorker(workspace, self.sandbox, runtime, sealed=seals.sealed, pinned=seals.pinned)
        equipment = Equipment(self.engine, data, supply, self.sandbox.level, self._model_turns)
        desk = Desk(workspace, settings, state, equipment, journal)
        desk.runs.close(self.drain.reason)
        desk.presence.on_replaced = lambda: self.spawn(self._replace(desk, _replaced(root)))
        return desk

    def _trusted_paths(self, state: DeskLock, workspace: Workspace) -> TrustedPaths | None:
        """Return the guard of the names in a workspace that outside tools trust; None without a sandbox."""
        if self.sandbox.level == "none":
            return None
        quarantine = Quarantine(workspace.root, state.folder / "quarantine")
        can_seal = self.sandbox.level == "full"
        record = state.folder / "trusted.json"
        return TrustedPaths(workspace.root, workspace.trusted_names, quarantine, record, can_seal=can_seal)


def _replaced(root: Path) -> str:
    return f"Another folder has taken the place of the workspace {root}"


async def _holds_nothing(desk: Desk) -> bool:
    """Return whether no session of a desk holds variables; False if the sessions do not report in time."""
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(_TELL_SECONDS):
            return not await kept_by(desk)
    return False


async def _ended(what: str, ending: Awaitable[None]) -> None:
    """Wait for `ending`, but only for a limited time, and log it if that fails."""
    try:
        await asyncio.wait_for(ending, _END_SECONDS)
    except TimeoutError:
        logger.error("%s did not end within %g s; it is left to itself", what, _END_SECONDS)
    except Exception:
        logger.exception("%s did not end as it should", what)
