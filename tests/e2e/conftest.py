"""Stations with a daemon, shared by the tests of a module."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from tests.station import Station


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
