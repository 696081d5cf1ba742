"""Functions that create clients."""

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
    """Return an async client of the desk of a workspace folder.

        async with analystd.connect() as desk:
            answer = await desk.run_agent("How many rows does prices.csv have?")

    `await analystd.connect()` returns the `Client` without a block; close it with `aclose`. The arguments are those of `connect_sync`, and the
    methods of the client have the same names.

    Raises:
        DaemonLostError: when there is no daemon and none can be started.
        WorkspaceError: when the folder cannot be used.
        RequestTimeoutError: when it took longer than `timeout` seconds.
    """
    return AwaitableContext(_connected(workspace, start, reconnect, events, name, timeout))


def connect_to_daemon(*, timeout: float | None = None) -> AwaitableContext[Client]:
    """Return a client of the running daemon without a desk, for `status` and `shutdown`. This never starts a daemon.

    Raises:
        DaemonLostError: when no daemon is running.
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
    """Return a synchronous client of the desk of a workspace folder.

        with analystd.connect_sync() as desk:
            print(desk.exec_python("6 * 7").result)
            answer = desk.run_agent("What was the highest close in bars.csv?", timeout=120)
            print(answer.answer, answer.run_id, [step.tool for step in answer.steps])
            frame = desk.view_data("bars.csv", "rows", offset=9_000_000, n_rows=100).to_pandas()

    Arguments:
        workspace: the folder; by default found as the command line finds it: `AGENT_WORKSPACE` (environment or settings), else `workspace` in the
            nearest folder upward, else `workspace` in the current folder.
        start: whether to start the daemon if none is running.
        reconnect: whether the next request connects again after the daemon has ended.
        events: which events the daemon sends for `on_event`: `"all"` of the desk, `"mine"` or `"none"`. `follow` and the events of a run work
            in any case.
        name: the name that other users of the desk see as `client` in this client's runs and events.
        timeout: seconds to wait for the connection.

    Methods of the client, which `help` describes in full:
        run_agent, exec_python          ask the model, run Python; wait for the result
        start_agent, start_python, run  the same as a handle: `id`, `events()`, `result()`, `cancel()`; `run(id)` is a handle of any run
        view_data                       a view of a table of any size; `to_pandas()`
        list_files, read_file, write_file
        variables, reset_session, interrupt
        list_runs, get_run, cancel_run  the desk's runs, including those of other windows
        follow, events, on_event        the events of the desk, from now on or since a number
        on_lost                         the end of the daemon, or of the connection
        status, shutdown, command, close

    Results have typed attributes (`answer.status`) and are mappings of what the daemon sent (`answer["status"]`, `dict(answer)`). All methods
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
