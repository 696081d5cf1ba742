"""Escapes that need more than one attempt: races, inherited resources, other programs' powers. Each level holds, or reports the gap."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from tests.jail.conftest import Jail

from analystd.jail import self_test


@pytest.fixture
def outside(tmp_path: Path) -> Iterator[Path]:
    """A folder beside the jail, which must be found as it was."""
    folder = tmp_path / "outside"
    (folder / "inner").mkdir(parents=True)
    (folder / "secret").write_text("secret")
    (folder / "inner/program").write_text("#!/bin/sh\n")
    (folder / "inner/program").chmod(0o755)
    before = _state(folder)
    yield folder
    assert _state(folder) == before


def _state(folder: Path) -> dict[str, tuple[int, int, bytes]]:
    return {
        str(path): (path.stat().st_mode, path.stat().st_mtime_ns, path.read_bytes() if path.is_file() else b"")
        for path in [folder, *folder.rglob("*")]
    }


def _has_gap(jail: Jail, name: str) -> bool:
    return self_test.TABLE[name].breach in jail.sandbox.gaps


def test_a_link_that_is_swapped_while_it_is_followed_leads_nowhere(jail: Jail, outside: Path) -> None:
    code = f"""
import os, threading, time
open("inside", "w").write("inside")
os.symlink("inside", "a"); os.symlink({str(outside / "secret")!r}, "b"); os.mkdir("real"); open("real/secret", "w").write("inside")
os.symlink("real", "c"); os.symlink({str(outside)!r}, "d")
end = time.monotonic() + 1.5

def swap(one, other):
    while time.monotonic() < end:
        os.rename(one, "t" + one); os.rename(other, one); os.rename("t" + one, other)

threads = [threading.Thread(target=swap, args=pair) for pair in (("a", "b"), ("c", "d"))]
[thread.start() for thread in threads]
seen, tries = set(), 0
while time.monotonic() < end:
    for path, flags in (("a", os.O_RDONLY), ("c/secret", os.O_RDONLY), ("a", os.O_WRONLY), ("c/secret", os.O_RDWR)):
        tries += 1
        try:
            descriptor = os.open(path, flags)
        except OSError:
            continue
        if flags == os.O_RDONLY:
            seen.add(os.read(descriptor, 20).decode())
        else:
            os.pwrite(descriptor, b"inside", 0)
        os.close(descriptor)
[thread.join() for thread in threads]
print(sorted(seen), tries > 100)
"""
    assert jail.python(code) == "['inside'] True\n"


@pytest.mark.parametrize(
    "path",
    [
        "/proc/1/root{0}/secret",
        "/proc/self/cwd/../outside/secret",
        "/proc/self/root{0}/secret",
        "/dev/fd/../../..{0}/secret",
    ],
)
def test_proc_is_no_way_around(jail: Jail, outside: Path, path: str) -> None:
    code = "import sys\ntry:\n    print(open(sys.argv[1]).read())\nexcept OSError:\n    print('refused')"
    done = jail.run(sys.executable, "-P", "-c", code, path.format(outside))
    assert done.stdout == "refused\n"


def test_no_environment_but_its_own_can_be_read(jail: Jail, monkeypatch: pytest.MonkeyPatch) -> None:
    code = """
import os
found = b""
for name in os.listdir("/proc"):
    if name.isdigit():
        try:
            found += open(f"/proc/{name}/environ", "rb").read()
        except OSError:
            pass
print(b"THE_DAEMONS_SECRET" in found, b"HOME=" in found)
"""
    environment = {**os.environ, "THE_DAEMONS_SECRET": "1"}
    with subprocess.Popen(["sleep", "60"], env=environment) as neighbour:
        try:
            assert jail.python(code) == "False True\n"
        finally:
            neighbour.kill()


def test_no_descriptor_of_another_process_can_be_had(jail: Jail, outside: Path) -> None:
    code = """
import ctypes, os, sys
libc = ctypes.CDLL(None, use_errno=True)
pid, number = int(sys.argv[1]), int(sys.argv[2])
outcomes = []
try:
    outcomes.append(os.open(f"/proc/{pid}/fd/{number}", os.O_RDONLY))
except OSError:
    outcomes.append("refused")
try:
    outcomes.append(libc.syscall(438, os.pidfd_open(pid), number, 0))
except OSError:
    outcomes.append(-1)
buffer = ctypes.create_string_buffer(64)
print(outcomes, libc.process_vm_readv(pid, buffer, 1, buffer, 1, 0))
"""
    descriptor = os.open(outside / "secret", os.O_RDONLY)
    try:
        done = jail.run(sys.executable, "-P", "-c", code, str(os.getpid()), str(descriptor))
    finally:
        os.close(descriptor)
    assert done.stdout == "['refused', -1] -1\n"


@contextmanager
def listening(address: str) -> Iterator[list[bytes]]:
    """A socket on which a program outside records what it receives."""
    told: list[bytes] = []
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(address)
        server.listen()

        def serve() -> None:
            while True:
                try:
                    connection, _ = server.accept()
                except OSError:
                    return
                with connection:
                    told.append(connection.recv(100))

        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        try:
            yield told
        finally:
            server.shutdown(socket.SHUT_RDWR)
            thread.join(5)


def test_the_daemons_own_socket_and_state_are_out_of_reach(
    jail: Jail, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    state = tmp_path / "state/analystd"
    state.mkdir(parents=True, mode=0o700)
    (state / "token").write_text("secret")
    code = """
import os, socket, sys
state, outcomes = sys.argv[1], []
for attempt in (
    lambda: os.listdir(state),
    lambda: open(state + "/token").read(),
    lambda: open(state + "/planted", "w"),
    lambda: os.unlink(state + "/daemon.sock"),
    lambda: socket.socket(socket.AF_UNIX).connect(state + "/daemon.sock"),
):
    try:
        attempt()
        outcomes.append("done")
    except OSError:
        outcomes.append("refused")
print(*outcomes)
"""
    with tempfile.TemporaryDirectory() as short, listening(f"{short}/s"):
        (state / "daemon.sock").symlink_to(f"{short}/s")
        done = jail.run(sys.executable, "-P", "-c", code, str(state))
    *others, connected = done.stdout.split()
    assert others == ["refused"] * 4
    assert (connected == "done") == _has_gap(jail, "path_socket")
    assert sorted(path.name for path in state.iterdir()) == ["daemon.sock", "token"]


@pytest.mark.parametrize("kind", ["SOCK_STREAM", "SOCK_DGRAM", "SOCK_SEQPACKET"])
def test_no_kind_of_abstract_socket_is_reached(jail: Jail, kind: str) -> None:
    name = f"\0analystd-test-{os.getpid()}-{kind}"
    code = (
        f"import socket, sys\ntry:\n    socket.socket(socket.AF_UNIX, socket.{kind}).connect(chr(0) + sys.argv[1])\n"
        "    print('reached')\nexcept OSError:\n    print('refused')"
    )
    with socket.socket(socket.AF_UNIX, getattr(socket, kind)) as server:
        server.bind(name)
        if kind != "SOCK_DGRAM":
            server.listen()
        outcome = jail.run(sys.executable, "-P", "-c", code, name[1:]).stdout.strip()
    assert (outcome == "reached") == _has_gap(jail, "abstract_socket")


def test_netlink_tells_nothing_of_the_machines_network(jail: Jail) -> None:
    code = """
import json, socket
try:
    socket.socket(16, socket.SOCK_RAW, 0)
    print(json.dumps([name for _, name in socket.if_nameindex()]))
except OSError:
    print("[]")
"""
    assert set(json.loads(jail.python(code))) <= {"lo"}


def test_a_port_of_the_machine_is_not_reached_and_none_is_opened_on_it(jail: Jail) -> None:
    code = """
import socket, sys
outcomes = []
for family, address in ((socket.AF_INET, "127.0.0.1"), (socket.AF_INET6, "::1")):
    for kind in (socket.SOCK_STREAM, socket.SOCK_DGRAM):
        try:
            with socket.socket(family, kind) as client:
                client.settimeout(1)
                client.connect((address, int(sys.argv[1])))
                client.send(b"x")
                outcomes.append((family, kind))
        except OSError:
            pass
print([each for each in outcomes if each[1] == socket.SOCK_STREAM])
"""
    with socket.create_server(("127.0.0.1", 0)) as tcp, socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as udp:
        port = tcp.getsockname()[1]
        udp.bind(("127.0.0.1", port))
        udp.settimeout(0.1)
        assert jail.run(sys.executable, "-P", "-c", code, str(port)).stdout == "[]\n"
        with pytest.raises(TimeoutError):
            udp.recv(10)


def test_programs_with_powers_of_their_own_have_none_here(jail: Jail) -> None:
    code = """
import glob, os, stat, subprocess
powerful = [
    path for folder in ("/bin", "/sbin", "/usr/bin", "/usr/sbin") for path in glob.glob(folder + "/*")
    if os.path.isfile(path) and os.stat(path).st_mode & (stat.S_ISUID | stat.S_ISGID)
]
status = subprocess.run(["cat", "/proc/self/status"], capture_output=True, text=True).stdout
print("NoNewPrivs:\\t1" in status, len(powerful) >= 0)
os.mkdir("tools")
open("tools/mine", "w").write("#!/bin/sh\\nid -u\\n")
try:
    os.chmod("tools/mine", 0o6755)
except OSError:
    os.chmod("tools/mine", 0o755)
print(subprocess.run(["tools/mine"], capture_output=True, text=True).stdout.strip() == str(os.geteuid()))
for program in ("su", "sudo", "mount", "newgrp", "chfn"):
    try:
        done = subprocess.run([program, "--help"], capture_output=True, timeout=10, stdin=subprocess.DEVNULL)
    except OSError:
        continue
try:
    mounted = subprocess.run(["mount", "-t", "tmpfs", "none", "tools"], capture_output=True, timeout=10).returncode
except OSError:
    mounted = 1
print(mounted != 0)
"""
    assert jail.python(code).split() == ["True", "True", "True", "True"]


@pytest.mark.parametrize("kind", ["c 1 3", "c 1 11", "b 8 0", "b 7 0"])
def test_no_device_can_be_made_or_used(jail: Jail, kind: str) -> None:
    letter, major, minor = kind.split()
    code = f"""
import os, stat
kind = stat.S_IFCHR if {letter!r} == "c" else stat.S_IFBLK
for folder in (".", os.environ["JUPYTER_RUNTIME_DIR"], "/dev/shm", "/tmp", "/dev"):
    try:
        os.mknod(folder + "/node", kind | 0o666, os.makedev({major}, {minor}))
        open(folder + "/node", "rb").read(1)
        print("used", folder)
    except OSError:
        pass
"""
    assert jail.python(code) == ""


def test_what_another_program_shares_is_untouched(jail: Jail) -> None:
    """At level full the machine's /dev/shm does not exist; below, the gap is reported."""
    with tempfile.NamedTemporaryFile(dir="/dev/shm", prefix="analystd-test-") as shared:
        shared.write(b"theirs")
        shared.flush()
        code = (
            "import sys\ntry:\n    open(sys.argv[1], 'r+b').write(b'MINE..')\n    print('changed')\n"
            "except OSError:\n    print('refused')"
        )
        outcome = jail.run(sys.executable, "-P", "-c", code, shared.name).stdout.strip()
        changed = Path(shared.name).read_bytes() != b"theirs"
    assert (outcome == "changed") == changed == _has_gap(jail, "shared_memory")


def test_what_can_be_changed_of_files_outside_is_told(jail: Jail, tmp_path: Path) -> None:
    (tmp_path / "theirs").write_text("theirs")
    code = """
import os, sys
done = []
for name, attempt in {
    "chmod": lambda: os.chmod(sys.argv[1], 0),
    "chown": lambda: os.chown(sys.argv[1], 12345, 12345),
    "utime": lambda: os.utime(sys.argv[1], (0, 0)),
    "setxattr": lambda: os.setxattr(sys.argv[1], "user.mine", b"x"),
}.items():
    try:
        attempt()
        done.append(name)
    except OSError:
        pass
print(*done)
"""
    done = jail.run(sys.executable, "-P", "-c", code, str(tmp_path / "theirs")).stdout.split()
    (tmp_path / "theirs").chmod(0o600)
    assert bool(done) == _has_gap(jail, "metadata")
    assert "chown" not in done
    assert (tmp_path / "theirs").read_text() == "theirs"
