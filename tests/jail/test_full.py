"""What only namespaces give: a world of one's own, with nothing in it but what the walls let in."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from tests.jail.conftest import Jail, new_policy, offered_or_skip

from analystd.jail.sandbox import Policy


@pytest.fixture(params=["full", "bwrap"])
def jail(request: pytest.FixtureRequest, tmp_path: Path) -> Jail:
    return Jail(offered_or_skip(request.param), new_policy(tmp_path))


def wider(jail: Jail, *read_only: Path) -> Jail:
    return Jail(jail.sandbox, Policy(jail.policy.workspace, jail.policy.runtime, read_only=read_only))


def test_no_gap_is_left(jail: Jail) -> None:
    assert jail.sandbox.gaps == ()


def test_only_its_own_processes_are_there(jail: Jail) -> None:
    code = "import os; print(sorted(int(name) for name in os.listdir('/proc') if name.isdigit()), os.getpid())"
    assert jail.python(code) == "[1, 2] 2\n"


def test_what_is_outside_is_not_even_there(jail: Jail, tmp_path: Path) -> None:
    (tmp_path / "secret").touch()
    code = (
        f"import os; print([os.path.exists(path) for path in ({str(tmp_path / 'secret')!r}, '/etc/shadow', '/boot')])"
    )
    assert jail.python(code) == "[False, False, False]\n"


def test_the_network_is_its_own_and_speaks_to_itself(jail: Jail) -> None:
    code = """
import socket
server = socket.create_server(("127.0.0.1", 0))
socket.create_connection(server.getsockname()).sendall(b"hello")
print([name for _, name in socket.if_nameindex()], server.accept()[0].recv(5))
"""
    assert jail.python(code) == "['lo'] b'hello'\n"


def test_there_are_terminals_of_its_own(jail: Jail) -> None:
    code = """
import os, pty
pid, terminal = pty.fork()
if pid == 0:
    os.execvp("tty", ["tty"])
print(os.read(terminal, 100).decode().strip())
"""
    assert jail.python(code) == "/dev/pts/0\n"


def test_the_folder_for_temporary_files_is_its_own(jail: Jail) -> None:
    name = f"/tmp/analystd-test-{os.getpid()}"
    jail.python(f"open({name!r}, 'w').write('x')")
    assert not Path(name).exists()


def test_programs_and_interpreter_cannot_be_changed_even_without_landlock(jail: Jail) -> None:
    mounts = jail.python("print(open('/proc/self/mounts').read())").splitlines()
    options = {line.split()[1]: line.split()[3].split(",") for line in mounts if line}
    assert "ro" in options["/usr"]
    assert "ro" in options["/"]
    assert {"rw", "nosuid", "nodev"} <= set(options[str(jail.policy.workspace)])


def test_a_read_only_path_may_be_a_link(jail: Jail, tmp_path: Path) -> None:
    (tmp_path / "lake-2026").mkdir()
    (tmp_path / "lake-2026/bars.csv").write_text("open\n")
    (tmp_path / "lake").symlink_to("lake-2026")
    path = str(tmp_path / "lake/bars.csv")
    assert wider(jail, tmp_path / "lake").python(f"print(open({path!r}).read(), end='')") == "open\n"


def test_a_read_only_path_around_the_workspace_leaves_it_writable(jail: Jail, tmp_path: Path) -> None:
    (tmp_path / "notes").write_text("x")
    around = wider(jail, tmp_path)
    around.python(f"open('mine', 'w'); open({str(tmp_path / 'notes')!r})")
    assert (jail.policy.workspace / "mine").exists()
    assert around.run(sys.executable, "-c", f"open({str(tmp_path / 'new')!r}, 'w')").returncode == 1


def test_the_whole_system_may_be_shown_for_reading(jail: Jail) -> None:
    assert wider(jail, Path("/")).python("import os; print(os.path.exists('/etc/hostname'))") == "True\n"


def test_links_in_a_circle_are_left_out(jail: Jail, tmp_path: Path) -> None:
    (tmp_path / "circle").symlink_to("circle")
    assert wider(jail, tmp_path / "circle").python("print('started')") == "started\n"


def test_our_own_state_is_hidden_even_inside_a_read_only_path(
    jail: Jail, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    (tmp_path / "state/analystd").mkdir(parents=True)
    (tmp_path / "state/analystd/token").write_text("secret")
    code = f"import os; print(os.listdir({str(tmp_path / 'state/analystd')!r}))"
    assert wider(jail, tmp_path).python(code) == "[]\n"


def test_a_runtime_folder_inside_our_state_is_there(
    jail: Jail, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    runtime = tmp_path / "state/analystd/run"
    runtime.mkdir(parents=True)
    inner = Jail(jail.sandbox, Policy(jail.policy.workspace, runtime, read_only=(tmp_path,)))
    inner.python(f"open({str(runtime / 'x')!r}, 'w')")
    assert (runtime / "x").exists()


def test_a_process_number_from_outside_is_not_passed_on(jail: Jail, monkeypatch: pytest.MonkeyPatch) -> None:
    command = jail.sandbox.command(["/usr/bin/env"], jail.policy)
    environment = {**jail.sandbox.environment(jail.policy), "JPY_PARENT_PID": str(os.getpid())}
    assert "JPY_PARENT_PID" not in subprocess.check_output(command, env=environment, text=True)


@pytest.mark.skipif(os.geteuid() != 0, reason="needs to run as root")
def test_root_works_in_another_users_workspace(jail: Jail, tmp_path: Path) -> None:
    if jail.sandbox.namespaces == "bwrap":
        pytest.skip("bwrap lets one user in: in its namespaces, folders of other users can be written by nobody")
    os.chown(jail.policy.workspace, 1000, 1000)
    jail.policy.workspace.chmod(0o755)
    jail.python("open('mine', 'w')")
    assert (jail.policy.workspace / "mine").exists()
