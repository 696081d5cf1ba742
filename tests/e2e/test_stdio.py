"""Two editor windows over real stdio, each with a relay of its own, on one daemon."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest
from lsprotocol import types
from pygls.exceptions import JsonRpcException
from pytest_lsp import ClientServerConfig, LanguageClient, make_test_lsp_client
from tests.station import Station


class Window:
    """One editor window: a client of `analystd stdio`."""

    def __init__(self, client: LanguageClient) -> None:
        self.client = client
        self.events: list[dict[str, Any]] = []
        self.about: dict[str, Any] = {}
        self._news = asyncio.Event()

    async def open(self, station: Station) -> None:
        self.client.feature("analystd/event")(lambda params: self._hear(params))
        params = types.InitializeParams(
            capabilities=types.ClientCapabilities(window=types.WindowClientCapabilities(work_done_progress=True)),
            root_uri=station.project.as_uri(),
        )
        result = await self.client.initialize_session(params)
        assert result.capabilities.experimental is not None
        self.about = result.capabilities.experimental["analystd"]

    async def command(self, name: str, token: str | None = None, **arguments: Any) -> dict[str, Any]:
        params = types.ExecuteCommandParams(command=f"analystd.{name}", arguments=[arguments], work_done_token=token)
        result = await self.client.workspace_execute_command_async(params)
        assert isinstance(result, dict)
        return result

    async def stop(self) -> None:
        await self.client.stop()  # type: ignore[no-untyped-call]

    async def heard(self, kind: str, count: int = 1) -> list[dict[str, Any]]:
        """Wait for events of a kind."""
        async with asyncio.timeout(20):
            while len(found := [event for event in self.events if event["kind"] == kind]) < count:
                self._news.clear()
                await self._news.wait()
        return found

    def _hear(self, params: Any) -> None:
        self.events.append(_plain(params))
        self._news.set()


def _plain(params: Any) -> dict[str, Any]:
    return params if isinstance(params, dict) else {name: getattr(params, name) for name in params._fields}


async def start_window(station: Station) -> Window:
    config = ClientServerConfig(
        server_command=station.command("stdio"), server_env=station.environment, client_factory=make_test_lsp_client
    )
    client = await config.start()
    assert isinstance(client, LanguageClient)
    window = Window(client)
    await window.open(station)
    return window


@pytest.fixture
async def windows(station: Station) -> AsyncIterator[tuple[Window, Window]]:
    first, second = await asyncio.gather(start_window(station), start_window(station))
    yield first, second
    for window in (first, second):
        if not window.client.stopped:
            await window.client.shutdown_session()
            await window.stop()


async def test_both_windows_share_a_variable_and_get_their_own_answers(windows: tuple[Window, Window]) -> None:
    first, second = windows
    await first.command("execPython", code="shared = 'from the first'")
    assert (await second.command("execPython", code="print(shared)"))["stdout"] == "from the first\n"
    answers = await asyncio.gather(
        *(window.command("execPython", code=f"{number} * 10") for number in range(8) for window in windows)
    )
    assert [answer["result"] for answer in answers] == [str(number * 10) for number in range(8) for _ in windows]


async def test_each_window_hears_of_the_others_runs(windows: tuple[Window, Window]) -> None:
    first, second = windows
    result = await first.command("execPython", code="print('hello, second')")
    (finished,) = [event for event in await second.heard("run_finished") if event["run_id"] == result["run_id"]]
    assert finished["client"] == first.about["client"]
    assert [event["seq"] for event in second.events] == sorted({event["seq"] for event in second.events})


async def test_one_window_leaves_by_exit_and_the_other_works_on(
    station: Station, windows: tuple[Window, Window]
) -> None:
    first, second = windows
    await first.command("execPython", code="kept = 7")
    running = asyncio.create_task(second.command("execPython", code="import time; time.sleep(1); kept"))
    await second.heard("run_started")
    first.client.exit(None)
    await first.stop()
    assert (await running)["result"] == "7"
    assert (await second.command("status"))["pid"] == station.daemon_pid()


async def test_a_cancelled_request_is_answered_and_the_code_stops(windows: tuple[Window, Window]) -> None:
    first, second = windows
    params = types.ExecuteCommandParams(
        command="analystd.execPython", arguments=[{"code": "import time\nwhile True: time.sleep(0.01)"}]
    )
    sending = first.client.protocol.send_request_async(  # type: ignore[no-untyped-call]
        "workspace/executeCommand", params, msg_id="to-cancel"
    )
    request = asyncio.ensure_future(sending)
    started = await first.heard("run_started")
    first.client.cancel_request(types.CancelParams(id="to-cancel"))
    with pytest.raises(JsonRpcException) as caught:
        await asyncio.wait_for(request, 5)
    assert caught.value.code == -32800
    finished = await second.heard("run_finished")
    assert (finished[-1]["run_id"], finished[-1]["status"]) == (started[-1]["run_id"], "interrupted")
    assert (await first.command("execPython", code="'free again'"))["status"] == "ok"


async def test_any_window_can_cancel_any_run(windows: tuple[Window, Window]) -> None:
    first, second = windows
    running = asyncio.create_task(first.command("execPython", code="import time; time.sleep(60)"))
    (started,) = await second.heard("run_started")
    assert (await second.command("cancelRun", run_id=started["run_id"]))["status"] == "cancelling"
    assert (await running)["status"] == "interrupted"
    assert (await second.command("cancelRun", run_id=started["run_id"]))["status"] == "interrupted"


async def test_events_catch_up_from_a_sequence_number(windows: tuple[Window, Window]) -> None:
    first, second = windows
    seq = first.about["seq"]
    result = await first.command("execPython", code="print('later')")
    caught_up = await second.command("events", after=seq)
    kinds = [event["kind"] for event in caught_up["events"] if event["run_id"] == result["run_id"]]
    assert kinds == ["run_queued", "run_started", "output", "run_finished"]
    assert [event["seq"] for event in caught_up["events"]] == list(range(seq + 1, caught_up["seq"] + 1))


async def test_progress_is_told_for_the_callers_token(windows: tuple[Window, Window]) -> None:
    first, _ = windows
    first.client.progress_reports["my-token"] = []
    await first.command("execPython", token="my-token", code="print('working')")
    kinds = [_kind(report) for report in first.client.progress_reports["my-token"]]
    assert (kinds[0], kinds[-1]) == ("begin", "end")


@pytest.mark.parametrize(
    ("name", "arguments", "code", "words"),
    [
        ("viewData", {"path": 123, "operation": "shape"}, -32602, "Invalid arguments: 123 is not of type 'string'"),
        ("viewData", {"path": "../servr/api.py", "operation": "shape"}, 4001, "Path is outside workspace"),
        ("viewData", {"operation": "shape"}, -32602, "give either 'path' or 'uri'"),
        ("viewData", {"uri": "file:///etc/passwd", "operation": "shape"}, 4001, "outside this window's folders"),
        ("execPython", {}, -32602, "'code' is a required property"),
        ("runAgent", {"prompt": "x", "conversation": "conv_none"}, -32602, "no conversation 'conv_none'"),
        ("frobnicate", {}, -32602, "Unknown command 'analystd.frobnicate'"),
    ],
)
async def test_what_is_wrong_is_told_with_a_code_and_no_traceback(
    windows: tuple[Window, Window], name: str, arguments: dict[str, Any], code: int, words: str
) -> None:
    with pytest.raises(JsonRpcException, match=words) as caught:
        await windows[0].command(name, **arguments)
    assert caught.value.code == code
    assert "Traceback" not in str(caught.value.data)


def _kind(report: Any) -> str:
    return str(report["kind"] if isinstance(report, dict) else report.kind)
