"""Tables as a window and a terminal look at them: filtered, sorted, profiled, with progress, and stopped."""

from __future__ import annotations

import asyncio
import os
import pty
import signal
import subprocess
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import psutil
import pytest
from lsprotocol import types
from pygls.exceptions import JsonRpcException
from pytest_lsp import ClientServerConfig, LanguageClient, make_test_lsp_client
from tests.station import SECONDS, Station

TRADES = """symbol,price,volume,note
BTC,100.5,7,first
ETH,9,,NA
BTC,20.25,3,a;b
SOL,100.5,12,
ETH,-1,7,last
"""

BLOCKS = 80
BLOCK = "".join(f"row {number},{number * 7919 % 100_000},some words that fill the line\n" for number in range(100_000))


@pytest.fixture(scope="module", autouse=True)
def trades(station: Station) -> None:
    (station.workspace / "trades.csv").write_text(TRADES)
    (station.workspace / "odd.txt").write_text("a~b\n1,5~2\n3~4,5\n")


@pytest.fixture(scope="module")
def big(station: Station) -> Path:
    """A file whose profile takes seconds, also on a fast machine."""
    path = station.workspace / "big.csv"
    with path.open("w") as file:
        file.write("name,value,words\n")
        for _ in range(BLOCKS):
            file.write(BLOCK)
    return path


class Window:
    """One editor window, through a relay of its own."""

    def __init__(self, client: LanguageClient) -> None:
        self.client = client

    async def view(self, *, token: str | None = None, msg_id: str | None = None, **arguments: Any) -> Any:
        params = types.ExecuteCommandParams(command="analystd.viewData", arguments=[arguments], work_done_token=token)
        sending = self.client.protocol.send_request_async(  # type: ignore[no-untyped-call]
            "workspace/executeCommand", params, msg_id=msg_id
        )
        return await sending

    def follow(self, token: str) -> list[Any]:
        """Where the reports for a token will stand."""
        return self.client.progress_reports.setdefault(token, [])


@pytest.fixture
async def window(station: Station) -> AsyncIterator[Window]:
    config = ClientServerConfig(
        server_command=station.command("stdio"), server_env=station.environment, client_factory=make_test_lsp_client
    )
    client = await config.start()
    assert isinstance(client, LanguageClient)
    params = types.InitializeParams(capabilities=types.ClientCapabilities(), root_uri=station.project.as_uri())
    await client.initialize_session(params)
    yield Window(client)
    await client.shutdown_session()
    await client.stop()  # type: ignore[no-untyped-call]


def test_conditions_must_all_hold_and_numbers_compare_as_numbers(station: Station) -> None:
    rows = view(station, "--filter", "price > 20", "--filter", "symbol = BTC")["rows"]
    assert rows == [["BTC", "100.5", "7", "first"], ["BTC", "20.25", "3", "a;b"]]
    assert view(station, "--filter", "price < 9.5", "--columns", "price")["rows"] == [["9"], ["-1"]]


@pytest.mark.parametrize(
    ("condition", "notes"),
    [
        ("note missing", ["NA", ""]),
        ("note present", ["first", "a;b", "last"]),
        ("note != first", ["a;b", "last"]),
        ("note contains st", ["first", "last"]),
        ("note starts_with a", ["a;b"]),
        ("symbol in ETH,SOL", ["NA", "", "last"]),
        ("volume = 7", ["first", "last"]),
        ("volume >= 7", ["first", "", "last"]),
    ],
)
def test_each_operator_finds_its_rows(station: Station, condition: str, notes: list[str]) -> None:
    assert view(station, "--filter", condition, "--columns", "note")["rows"] == [[note] for note in notes]


def test_the_shape_counts_what_meets_the_filter(station: Station) -> None:
    shape = station.result("view", "trades.csv", "shape", "--filter", "symbol = ETH")
    assert (shape["num_rows"], shape["num_columns"]) == (2, 4)


def test_rows_are_sorted_with_missing_ones_last_and_equal_ones_as_in_the_file(station: Station) -> None:
    def sorted_by(*keys: str) -> list[str]:
        words = [word for key in keys for word in ("--sort", key)]
        return [
            f"{symbol} {note}".strip() for symbol, note in view(station, *words, "--columns", "symbol,note")["rows"]
        ]

    assert sorted_by("volume") == ["BTC a;b", "BTC first", "ETH last", "SOL", "ETH NA"]
    assert sorted_by("-volume") == ["SOL", "BTC first", "ETH last", "BTC a;b", "ETH NA"]
    assert sorted_by("symbol", "-price") == ["BTC first", "BTC a;b", "ETH NA", "ETH last", "SOL"]


def test_pages_go_on_in_the_filtered_and_sorted_rows(station: Station) -> None:
    asked = ["--filter", "price present", "--sort", "-price", "--columns", "price"]
    pages = [
        station.result("view", "trades.csv", "rows", "-n", "2", "--offset", str(offset), *asked) for offset in (0, 2, 4)
    ]
    assert [page["rows"] for page in pages] == [[["100.5"], ["100.5"]], [["20.25"], ["9"]], [["-1"]]]
    assert [page["offset"] for page in pages] == [0, 2, 4]
    assert station.result("view", "trades.csv", "tail", "-n", "2", *asked)["rows"] == [["9"], ["-1"]]


def test_a_profile_tells_what_the_columns_hold(station: Station) -> None:
    price, note = station.result("view", "trades.csv", "profile", "--columns", "price,note")["profiles"]
    assert (price["column"], price["count"], price["missing"], price["strange"]) == ("price", 5, 0, 0)
    assert (price["distinct"], price["distinct_exact"]) == (4, True)
    assert (float(price["min"]), float(price["max"]), price["mean"]) == (-1, 100.5, pytest.approx(45.85))
    assert sum(price["histogram"]["counts"]) == 5
    assert len(price["histogram"]["edges"]) == len(price["histogram"]["counts"]) + 1
    assert (note["count"], note["missing"], note["distinct"]) == (3, 2, 3)
    assert {(each["value"], each["count"]) for each in note["top"]} == {("first", 1), ("a;b", 1), ("last", 1)}


def test_a_profile_is_of_the_rows_that_meet_the_filter_and_pages_over_columns(station: Station) -> None:
    asked = ["profile", "--filter", "symbol = BTC", "-n", "1", "--offset", "1"]
    (price,) = station.result("view", "trades.csv", *asked)["profiles"]
    assert (price["column"], price["count"], float(price["min"])) == ("price", 2, 20.25)


def test_a_terminal_shows_a_profile_as_text(station: Station) -> None:
    text = station.run("view", "trades.csv", "profile", "--columns", "symbol").stdout
    assert "symbol" in text
    assert "BTC" in text


def test_a_given_delimiter_overrides_the_one_that_was_found(station: Station) -> None:
    given = station.result("view", "odd.txt", "--delimiter", "~")
    assert [column["name"] for column in given["columns"]] == ["a", "b"]
    assert given["rows"] == [["1,5", "2"], ["3", "4,5"]]
    assert station.result("view", "trades.csv", "--delimiter", ";")["num_columns"] == 1


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--filter", "prize > 1"], "There is no column 'prize'"),
        (["--sort", "-prize"], "There is no column 'prize'"),
        (["--filter", "price>1"], "'price>1' has no operator between spaces"),
        (["--delimiter", "ab"], "the delimiter is 'ab'"),
    ],
)
def test_what_makes_no_sense_is_a_usage_error(station: Station, words: list[str], said: str) -> None:
    assert said in station.run("view", "trades.csv", *words, check=2).stderr


async def test_a_window_asks_the_same_of_its_own_files(station: Station, window: Window) -> None:
    path = station.project / "own.csv"
    path.write_text(TRADES)
    try:
        view = await window.view(
            uri=path.as_uri(),
            operation="rows",
            columns=["note"],
            filter=[{"column": "price", "op": ">", "value": 0}, {"column": "note", "op": "present"}],
            sort=[{"column": "price"}],
        )
        assert view["rows"] == [["a;b"], ["first"]]
    finally:
        path.unlink()


async def test_a_folder_of_a_window_is_no_table(station: Station, window: Window) -> None:
    with pytest.raises(JsonRpcException, match="is a folder") as caught:
        await window.view(uri=station.workspace.as_uri(), operation="head")
    assert caught.value.code == 4001


async def test_long_work_tells_how_far_it_is_and_nothing_after_its_answer(window: Window, big: Path) -> None:
    reports = window.follow("profiling")
    view = await window.view(token="profiling", path=big.name, operation="profile")
    told = len(reports)
    assert [profile["count"] for profile in view["profiles"]] == [BLOCKS * 100_000] * 3
    values = [plain(report) for report in reports]
    assert values[0] == {"kind": "begin", "title": "Reading big.csv", "cancellable": True, "percentage": 0}
    assert values[-1]["kind"] == "end"
    percentages = [value["percentage"] for value in values[1:-1]]
    assert percentages == sorted(set(percentages))
    assert percentages
    await window.view(path="trades.csv", operation="shape")
    assert len(reports) == told


async def test_quick_work_is_not_told(window: Window) -> None:
    reports = window.follow("quick")
    await window.view(token="quick", path="trades.csv", operation="head")
    assert reports == []


async def test_a_cancelled_view_is_answered_and_its_work_ends(station: Station, window: Window, big: Path) -> None:
    reports = window.follow("cancelled")
    above = [{"column": "value", "op": ">", "value": 1}]
    asked = window.view(token="cancelled", msg_id="view", path=big.name, operation="profile", filter=above)
    request = asyncio.ensure_future(asked)
    async with asyncio.timeout(SECONDS):
        while not reports:
            await asyncio.sleep(0.02)
    window.client.cancel_request(types.CancelParams(id="view"))
    with pytest.raises(JsonRpcException) as caught:
        await asyncio.wait_for(request, 5)
    assert caught.value.code == -32800
    assert plain(reports[-1])["kind"] == "end"
    workers = data_workers(station)
    assert workers
    async with asyncio.timeout(5):
        await idle(workers)
    assert (await window.view(path="trades.csv", operation="shape"))["num_rows"] == 5


def test_a_terminal_shows_progress_and_ctrl_c_stops_the_view(station: Station, big: Path) -> None:
    ours, theirs = pty.openpty()
    with subprocess.Popen(
        station.command("view", big.name, "profile", "--filter", "value > 2"),
        cwd=station.project,
        env=station.environment,
        stdout=subprocess.PIPE,
        stderr=theirs,
        start_new_session=True,
    ) as process:
        os.close(theirs)
        seen = b""
        while b"%" not in seen:
            seen += os.read(ours, 1000)
        process.send_signal(signal.SIGINT)
        assert process.communicate(timeout=SECONDS)[0] == b""
    assert process.returncode == 130
    assert seen.startswith(b"\rReading big.csv \xe2\x80\xa6 ")
    assert rest(ours).endswith(b"\r\x1b[K")


def view(station: Station, *words: str) -> Any:
    return station.result("view", "trades.csv", "rows", *words)


def plain(report: Any) -> dict[str, Any]:
    """A report as it was sent, whichever of pygls' types it was made."""
    if isinstance(report, dict):
        return report
    fields = {"kind", "title", "cancellable", "percentage", "message"}
    return {name: value for name in fields if (value := getattr(report, name, None)) is not None}


def data_workers(station: Station) -> list[psutil.Process]:
    """The process that reads tables for the station's daemon, and those that stand for it outside its walls."""
    daemon = psutil.Process(station.daemon_pid())
    return [each for each in daemon.children(recursive=True) if "analystd.data.worker" in each.cmdline()]


async def idle(processes: list[psutil.Process]) -> None:
    """Wait until processes do nothing for a while."""
    spent = -1.0
    while (now := sum(sum(each.cpu_times()[:2]) for each in processes)) > spent:
        spent = now
        await asyncio.sleep(0.3)


def rest(terminal: int) -> bytes:
    """What is still to be read from a terminal that nobody writes to any more."""
    seen = b""
    try:
        while chunk := os.read(terminal, 1000):
            seen += chunk
    except OSError:
        # Linux tells the end of a terminal by EIO.
        pass
    finally:
        os.close(terminal)
    return seen
