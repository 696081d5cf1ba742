"""A model server that sends without end fails its run with a sentence, and costs the daemon neither memory nor its answers to others."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.models.flooding_servers import KINDS, MOST_SENT, Flood, flooding
from tests.station import Station

GROWTH_MIB = 120
"""What a daemon may take more than before at its peak; without bounds it took up to 3,600."""


@pytest.fixture(scope="module")
def flood() -> Iterator[Flood]:
    with flooding() as flood:
        yield flood


@pytest.fixture(scope="module")
def station(tmp_path_factory: pytest.TempPathFactory, flood: Flood) -> Iterator[Station]:
    station = Station(tmp_path_factory.mktemp("flood"), AGENT_MODEL_URL=f"{flood.url}/v1", AGENT_MODEL_NAME="m")
    station.run("exec", "1")
    yield station
    station.stop()


def peak(station: Station) -> int:
    """The most memory that the daemon ever had, in MiB."""
    status = Path(f"/proc/{station.daemon_pid()}/status").read_text()
    found = re.search(r"VmHWM:\s+(\d+) kB", status)
    assert found is not None
    return int(found[1]) >> 10


SAID = {
    "no newline": "sent a line of more than 4 MiB",
    "data without an event's end": "sent an event of more than 4 MiB",
    "comments": "sent more than 32 MiB in one answer",
    "empty lines": "sent more than 32 MiB in one answer",
    "empty chunks": "sent more than 32 MiB in one answer",
    "text": "sent a reply of more than 1048576 characters",
    "a gzip bomb": "sent a compressed answer (gzip)",
    "a gzip bomb of lines": "sent a compressed answer (gzip)",
    "a refusal": "rejects the request (400): no no no",
    "a refusal that unpacks": "rejects the request (400)",
    "a nested event": "sent an invalid chunk of a reply",
}


@pytest.mark.parametrize("kind", [*SAID, "a call", "calls", "headers", "redirects with bodies"])
def test_a_reply_without_end_ends_its_run(station: Station, flood: Flood, kind: str) -> None:
    before, flood.kind, flood.sent = peak(station), kind, 0
    done = station.run("run", "Hello?", check=None)
    assert done.returncode in (1, 4), (done.stdout, done.stderr)
    assert SAID.get(kind, "") in done.stderr + done.stdout
    assert flood.url in done.stderr + done.stdout
    assert flood.sent < MOST_SENT
    assert peak(station) - before < GROWTH_MIB


@pytest.mark.parametrize("kind", ["a list", "a gzip bomb", "a nested list", "headers"])
def test_a_list_of_models_without_end_is_given_up(tmp_path: Path, flood: Flood, kind: str) -> None:
    station = Station(tmp_path, AGENT_MODEL_URL=f"{flood.url}/v1")
    try:
        station.run("exec", "1")
        before, flood.listing, flood.sent = peak(station), kind, 0
        done = station.run("run", "Hello?", check=None)
        assert done.returncode == 1, (done.stdout, done.stderr)
        assert f"server at {flood.url}/v1" in done.stderr + done.stdout
        assert flood.sent < MOST_SENT
        assert peak(station) - before < GROWTH_MIB
    finally:
        flood.listing = ""
        station.stop()


def test_there_is_a_test_for_each_kind() -> None:
    elsewhere = {"a list", "a nested list", "informational answers"}
    assert set(KINDS) == {*SAID, "a call", "calls", "headers", "redirects with bodies", *elsewhere}
