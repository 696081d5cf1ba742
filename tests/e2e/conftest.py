"""Stations with a daemon, shared by the tests of a module; what any daemon sends to anyone is checked after each test."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
from tests.e2e.bytewise import Wire, open_wire, opened
from tests.station import Station, trace_settings
from tests.wire_check import WireCheck


@pytest.fixture(scope="session", autouse=True)
def wire_check(tmp_path_factory: pytest.TempPathFactory) -> Iterator[WireCheck]:
    """What daemons trace of their conversations, from their start on."""
    folder = tmp_path_factory.mktemp("traces")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Station, "traces", folder)
        yield WireCheck(folder)


@pytest.fixture(autouse=True)
def messages_are_as_published(
    own_places: Path, wire_check: WireCheck, monkeypatch: pytest.MonkeyPatch
) -> Iterator[None]:
    for name, value in trace_settings(wire_check.folder).items():
        monkeypatch.setenv(name, value)
    yield
    wire_check.check()


@pytest.fixture(scope="module")
def station(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Station]:
    """A station whose model is never asked."""
    station = Station(tmp_path_factory.mktemp("s"))
    station.play([])
    yield station
    station.stop()


@pytest.fixture
def fresh_station(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Station]:
    """A station of the test's own."""
    station = Station(tmp_path_factory.mktemp("s"))
    yield station
    station.stop()


@pytest.fixture(params=["relay", "socket"])
async def wire(request: pytest.FixtureRequest, station: Station) -> AsyncIterator[Wire]:
    """A wire of each kind, before `initialize`."""
    wire = await open_wire(station, request.param)
    yield wire
    with contextlib.suppress(ConnectionError):
        await wire.close()


@pytest.fixture
async def other(station: Station) -> AsyncIterator[Wire]:
    """Another client, which must be served throughout."""
    async with opened(station) as wire:
        yield wire
        assert (await wire.command("status"))["result"]["pid"] == station.daemon_pid()
