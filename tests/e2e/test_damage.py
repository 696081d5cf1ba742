"""Everything that analystd keeps can be damaged: each command still ends, with what was asked for or with a sentence."""

from __future__ import annotations

import os
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from tests.e2e.wires import wire
from tests.station import Station

from analystd.discovery.registry import daemon_address
from analystd.util.remove import remove

Damage = Callable[[Path], None]

GARBAGE = b"\xff\xfe\x00garbage\n" * 100
COMMANDS = (("status",), ("exec", "6 * 7"), ("runs",), ("logs",), ("doctor",), ("stop",), ("exec", "6 * 7"))
SENTENCES = ("analystd: ", "WorkspaceError: ", "ResourceLimitError: ")


def _garbage(path: Path) -> None:
    path.write_bytes(GARBAGE)


def _deep_json(path: Path) -> None:
    path.write_text("[" * 200_000)


def _sparse(path: Path) -> None:
    with path.open("wb") as file:
        file.truncate(3 << 30)


def _folder(path: Path) -> None:
    remove(path)
    (path / "below").mkdir(parents=True)
    (path / "below" / "file").touch()


def _file(path: Path) -> None:
    remove(path)
    path.touch()


def _pipe(path: Path) -> None:
    remove(path)
    os.mkfifo(path)


def _circle(path: Path) -> None:
    remove(path)
    path.symlink_to(path)


def _link_out(path: Path) -> None:
    remove(path)
    path.symlink_to("/dev/zero")


def _odd_names(path: Path) -> None:
    for name in (b"\xff\xfe.json", b"a\nb.json", b"-rf", b"x" * 255):
        (Path(os.fsdecode(os.fsencode(path) + b"/" + name))).write_bytes(GARBAGE)


ADDRESS = daemon_address().name

CASES: list[tuple[str, Damage]] = [
    (f"{ADDRESS}.json", _garbage),
    (f"{ADDRESS}.json", _deep_json),
    (f"{ADDRESS}.json", _sparse),
    (f"{ADDRESS}.json", _pipe),
    (f"{ADDRESS}.json", _link_out),
    (f"{ADDRESS}.lock", _folder),
    (f"{ADDRESS}.lock", _pipe),
    (f"{ADDRESS}.sock", _folder),
    (f"{ADDRESS}.sock", _circle),
    ("start.lock", _folder),
    ("start.lock", _circle),
    ("start.log", _folder),
    ("start.log", _sparse),
    ("start.log", _circle),
    ("trusted.json", _sparse),
    ("trusted.json", _folder),
    ("logs", _file),
    ("logs/agent.log", _folder),
    ("logs/agent.log", _pipe),
    ("logs/agent.log", _circle),
    ("run", _file),
    ("desks", _file),
    ("desks/*", _file),
    ("desks/*/lock", _folder),
    ("desks/*/workspace", _folder),
    ("desks/*/workspace", _sparse),
    ("desks/*/journal", _file),
    ("desks/*/journal/*.jsonl", _folder),
    ("desks/*/journal/*.jsonl", _garbage),
    ("desks/*/journal/*.jsonl", _circle),
    ("desks/*/journal/runs.sqlite", _garbage),
    ("desks/*/journal/runs.sqlite", _folder),
    (".", _odd_names),
    ("../../config/analystd/settings.env", _folder),
    ("../../config/analystd/settings.env", _pipe),
    ("../../config/analystd/settings.env", _garbage),
]


@pytest.mark.parametrize(("where", "damage"), CASES, ids=[f"{where}{damage.__name__}" for where, damage in CASES])
def test_whatever_is_damaged_each_command_ends_with_a_result_or_a_sentence(
    fresh_station: Station, where: str, damage: Damage
) -> None:
    station = fresh_station
    station.play([])
    settings = station.home / "config/analystd"
    settings.mkdir(parents=True)
    (settings / "settings.env").write_text("AGENT_SEED=7\n")
    station.run("exec", "x = 1")
    (station.state / "trusted.json").write_text("{}")
    for number, arguments in enumerate(COMMANDS):
        if number in (0, 6):
            _damage(station, where, damage)
        _ends_well(station, *arguments)
    _damage(station, where, damage)
    _ends_well(station, "uninstall", "--yes")
    _ends_well(station, "uninstall", "--purge", "--yes")
    assert not station.state.exists()


def _damage(station: Station, where: str, damage: Damage) -> None:
    for path in (list(station.state.glob(where)) if "*" in where else []) or [station.state / where]:
        path.parent.mkdir(parents=True, exist_ok=True)
        damage(path)


def _ends_well(station: Station, *arguments: str) -> None:
    begun = time.monotonic()
    done = station.run(*arguments, check=None)
    said = (
        f"{arguments} ended with {done.returncode} after {time.monotonic() - begun:.1f} s\n{done.stdout}{done.stderr}"
    )
    assert "Traceback" not in done.stderr + ("" if arguments == ("logs",) else done.stdout), said
    assert "Internal error" not in done.stdout + done.stderr, said
    assert done.returncode in (0, 1, 3, 4), said
    if done.returncode and arguments[0] != "doctor":
        assert done.stderr.startswith(SENTENCES) or "failed  " in done.stdout, said


@pytest.mark.parametrize("state", ["/proc/none", "{home}/file", "/dev/null"])
async def test_without_a_place_for_its_state_every_door_names_it_and_the_setting(
    fresh_station: Station, state: str
) -> None:
    station = fresh_station
    (station.home / "file").touch()
    state = station.environment["XDG_STATE_HOME"] = state.format(home=station.home)
    for arguments in (("exec", "1"), ("serve",), ("serve", "--detach"), ("view", "a.csv")):
        said = station.run(*arguments, check=None).stderr
        assert said.startswith("analystd: "), said
        assert state in said
        assert "XDG_STATE_HOME" in said
        assert "Traceback" not in said
    for arguments in (("status",), ("stop",), ("uninstall", "--yes")):
        done = station.run(*arguments, check=None)
        assert "Traceback" not in done.stdout + done.stderr
    async with wire(station) as window:
        error = (await window.initialize(station))["error"]
        assert error["code"] == 4007
        assert state in error["message"]
        assert "XDG_STATE_HOME" in error["message"]


@pytest.mark.parametrize("options", ["ro", "size=8k", "size=1m,nr_inodes=3"])
def test_on_a_disk_that_takes_nothing_the_start_says_why(fresh_station: Station, options: str) -> None:
    station = fresh_station
    state = station.home / "state"
    state.mkdir()
    script = (
        f'mount -t tmpfs -o {options} tmpfs "$0" || exit 99; test {options} = ro || head -c 1m /dev/zero > "$0/full" ; '
        '"$@" exec 1; "$@" serve; "$@" stop --now; "$@" uninstall --yes'
    )
    command = ["unshare", "--user", "--map-root-user", "--mount", "sh", "-c", script, str(state), *station.command()]
    done = subprocess.run(
        command, env=station.environment, cwd=station.project, capture_output=True, text=True, timeout=120, check=False
    )
    if done.returncode == 99 or "unshare" in done.stderr:
        pytest.skip(f"nothing can be mounted here: {done.stderr.strip()}")
    assert "Traceback" not in done.stdout + done.stderr
    assert done.stderr.count(f"cannot keep its state in {station.state}") >= 2, done.stderr
    assert "XDG_STATE_HOME" in done.stderr
