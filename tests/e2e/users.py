"""Being a station's user in the test's own process."""

from __future__ import annotations

import os
import signal
import time

import pytest
from tests.station import SECONDS, Station, is_running

from analystd.config.environment import PREFIX


def become_user(station: Station, monkeypatch: pytest.MonkeyPatch) -> None:
    """Have this process find the station's daemon, settings and project."""
    for name, value in station.environment.items():
        if name.startswith((PREFIX, "XDG_STATE", "XDG_CONFIG")):
            monkeypatch.setenv(name, value)
    monkeypatch.chdir(station.project)


def kill_daemon(station: Station) -> None:
    """Have the daemon die without a word, and wait until it is gone."""
    pid = station.daemon_pid()
    assert pid is not None
    os.kill(pid, signal.SIGKILL)
    deadline = time.monotonic() + SECONDS
    while is_running(pid):
        assert time.monotonic() < deadline, f"the daemon {pid} outlives SIGKILL"
        time.sleep(0.01)
