"""Ways to a client."""

from __future__ import annotations

import os
from pathlib import Path

from analystd.client._awaitable_context import AwaitableContext
from analystd.client._reconnecting import ConnectOptions
from analystd.client.client import Client
from analystd.client.sync_client import SyncClient
from analystd.wire.names import Subscription


def connect(
    workspace: str | os.PathLike[str] | None = None,
    *,
    start: bool = True,
    reconnect: bool = True,
    events: Subscription = "all",
    name: str = "client",
    timeout: float | None = None,
) -> AwaitableContext[Client]:
    """An async client of the desk of a workspace folder.

        async with analystd.connect() as desk:
            answer = await desk.run_agent("How many rows does prices.csv have?")

    `await analystd.connect()` gives the `Client` without a block; close it by `aclose`. All else is as for `connect_sync`, whose methods have
    the same names here.

    Raises:
        DaemonLostError: when there is no daemon and none can be started.
        WorkspaceError: when the folder cannot be used.
        RequestTimeoutError: when it took longer than `timeout` seconds.
    """
    return AwaitableContext(_connected(workspace, start, reconnect, events, name, timeout))


def connect_to_daemon(*, timeout: float | None = None) -> AwaitableContext[Client]:
    """A client of the running daemon and of no desk, which can ask for `status` and `shutdown`; never starts a daemon.

    Raises:
        DaemonLostError: when there is none.
    """
    visit = ConnectOptions({"desk": False}, start=False, reconnect=False)
    return AwaitableContext(Client.connected(visit, "none", timeout))


def connect_sync(
    workspace: str | os.PathLike[str] | None = None,
    *,
    start: bool = True,
    reconnect: bool = True,
    events: Subscription = "all",
    name: str = "client",
    timeout: float | None = None,
) -> SyncClient:
    """A client of the desk of a workspace folder, for plain code.

        with analystd.connect_sync() as desk:
            print(desk.exec_python("6 * 7").result)
            answer = desk.run_agent("What was the highest close in bars.csv?", timeout=120)
            print(answer.answer, answer.run_id, [step.tool for step in answer.steps])
            frame = desk.view_data("bars.csv", "rows", offset=9_000_000, n_rows=100).to_pandas()

    Arguments:
        workspace: the folder; by default as the command line finds it: `AGENT_WORKSPACE` (environment or settings), else `workspace` in the nearest
            folder upward, else here.
        start: whether to start the daemon when none runs.
        reconnect: whether to connect anew, by the next request, after the daemon ended.
        events: which events are sent unasked, for `on_event`: `"all"` of the desk, `"mine"` or `"none"`. `follow` and the events of a run
            are heard in any case.
        name: what the desk's other users see as `client` of what this one does.
        timeout: seconds to wait for the connection.

    Methods of the client, of which `help` tells more:
        run_agent, exec_python          ask the model, run Python; wait for the result
        start_agent, start_python, run  the same as a handle: `id`, `events()`, `result()`, `cancel()`; `run(id)` is one of any run
        view_data                       a look at a table of any size; `to_pandas()`
        list_files, read_file, write_file
        variables, reset_session, interrupt
        list_runs, get_run, cancel_run  the desk's runs, other windows' too
        follow, events, on_event        what happens on the desk, from now on or since a number
        on_lost                         the end of the daemon, or of the connection
        status, shutdown, command, close

    Results have typed attributes (`answer.status`); as mappings they are what came over the wire (`answer["status"]`, `dict(answer)`). All
    that wait take `timeout` in seconds. Errors are subclasses of `analystd.errors.AnalystdError`.

    Raises:
        DaemonLostError: when there is no daemon and none can be started.
        WorkspaceError: when the folder cannot be used.
        RequestTimeoutError: when it took longer than `timeout` seconds.
    """
    return SyncClient(lambda: _connected(workspace, start, reconnect, events, name, timeout))


async def _connected(
    workspace: str | os.PathLike[str] | None,
    start: bool,
    reconnect: bool,
    events: Subscription,
    name: str,
    timeout: float | None,
) -> Client:
    from analystd.jail.workspace_place import find_workspace

    folder = find_workspace(Path.cwd(), os.fspath(workspace) if workspace is not None else None)
    visit = ConnectOptions({"workspace": str(folder)}, name=name, start=start, reconnect=reconnect)
    return await Client.connected(visit, events, timeout)
