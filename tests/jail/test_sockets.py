"""Sockets and FIFOs of programs outside stay out of reach in folders that may be read; those of the jail itself work."""

from __future__ import annotations

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
from tests.jail.conftest import Jail, offered_or_skip

from analystd.jail import fifos, landlock, self_test
from analystd.jail.sandbox import Policy

CONNECT = """
import json, os, socket, sys
done = []
for path in json.loads(sys.argv[1]):
    for kind in (socket.SOCK_STREAM, socket.SOCK_DGRAM, socket.SOCK_SEQPACKET):
        for name in (path, os.path.relpath(path), "link"):
            if name == "link":
                os.path.lexists("link") and os.unlink("link")
                os.symlink(path, "link")
            try:
                with socket.socket(socket.AF_UNIX, kind) as client:
                    client.connect(name)
                done.append([path, kind.name, name])
            except OSError:
                pass
print(json.dumps(done))
"""

AT_ANY_LEVEL = ("/tmp", "/var/tmp")
"""The temporary folder of the machine is covered by one of the jail's own at level full, other places are not."""


@pytest.fixture(params=AT_ANY_LEVEL)
def lake(request: pytest.FixtureRequest) -> Iterator[Path]:
    """A folder that may be read, short enough for the path of a socket."""
    with tempfile.TemporaryDirectory(dir=request.param) as folder:
        yield Path(folder)


@pytest.fixture
def reader(jail: Jail, lake: Path) -> Jail:
    return reading(jail, lake)


def reading(jail: Jail, *folders: Path) -> Jail:
    return Jail(jail.sandbox, Policy(jail.policy.workspace, jail.policy.runtime, read_only=folders))


def listen(stack: ExitStack, path: Path, kind: socket.SocketKind = socket.SOCK_STREAM) -> socket.socket:
    server = stack.enter_context(socket.socket(socket.AF_UNIX, kind))
    server.bind(str(path))
    if kind != socket.SOCK_DGRAM:
        server.listen()
    server.setblocking(False)
    return server


@pytest.mark.parametrize(
    "kind", [socket.SOCK_STREAM, socket.SOCK_DGRAM, socket.SOCK_SEQPACKET], ids=lambda kind: kind.name
)
def test_a_socket_in_a_folder_that_may_be_read_is_not_reached(
    reader: Jail, lake: Path, kind: socket.SocketKind
) -> None:
    with ExitStack() as stack:
        (lake / "deep/er").mkdir(parents=True)
        servers = [listen(stack, lake / name, kind) for name in ("socket", "deep/er/socket")]
        paths = [str(lake / name) for name in ("socket", "deep/er/socket")]
        assert json.loads(reader.run(sys.executable, "-P", "-c", CONNECT, json.dumps(paths)).stdout) == []
        for server in servers:
            with pytest.raises(BlockingIOError):
                server.recv(1) if kind == socket.SOCK_DGRAM else server.accept()


def test_the_attempt_itself_would_succeed_outside(lake: Path, tmp_path: Path) -> None:
    """A wall that was never run into proves nothing."""
    with ExitStack() as stack:
        listen(stack, lake / "socket")
        words = [sys.executable, "-c", CONNECT, json.dumps([str(lake / "socket")])]
        assert len(json.loads(subprocess.check_output(words, text=True, cwd=tmp_path))) == 3


def test_a_socket_that_appears_later_is_not_reached(reader: Jail, lake: Path) -> None:
    code = """
import os, socket, sys
print("ready", flush=True)
sys.stdin.readline()
try:
    socket.socket(socket.AF_UNIX).connect(sys.argv[1])
    print("reached")
except FileNotFoundError:
    print("not there")
except OSError:
    print("refused")
"""
    process = subprocess.Popen(
        reader.sandbox.command([sys.executable, "-c", code, str(lake / "late")], reader.policy),
        env=reader.sandbox.environment(reader.policy),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    with process, ExitStack() as stack:
        assert process.stdin is not None
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
        listen(stack, lake / "late")
        process.stdin.write("\n")
        process.stdin.flush()
        assert process.stdout.readline() == "refused\n"


def test_an_agent_for_keys_is_not_reached(reader: Jail, lake: Path) -> None:
    """GnuPG's agent, as it is: its folder may be read, and nobody inside can ask it anything."""
    if not (shutil.which("gpg-agent") and shutil.which("gpg-connect-agent")):
        pytest.skip("there is no gpg-agent here")
    home = lake / "gnupg"
    home.mkdir(mode=0o700)
    environment = {**os.environ, "GNUPGHOME": str(home)}
    ask = ["gpg-connect-agent", "--no-autostart", "GETINFO version", "/bye"]
    agent = subprocess.Popen(
        ["gpg-agent", "--homedir", str(home), "--daemon", "--no-detach", "sleep", "60"], env=environment
    )
    try:
        deadline = time.monotonic() + 10
        while not (home / "S.gpg-agent").exists() and time.monotonic() < deadline:
            time.sleep(0.05)
        if not (home / "S.gpg-agent").exists():
            pytest.skip("gpg-agent keeps its socket elsewhere here")
        assert "OK" in subprocess.run(ask, env=environment, capture_output=True, text=True).stdout
        inside = reader.run("/usr/bin/env", f"GNUPGHOME={home}", *ask)
        assert "OK" not in inside.stdout
    finally:
        agent.send_signal(signal.SIGTERM)
        agent.wait(10)


def test_an_address_that_is_changed_while_it_is_looked_at_leads_nowhere(reader: Jail, lake: Path) -> None:
    """Two threads write into the address, swap the path behind it and the descriptor, while others connect."""
    code = """
import ctypes, os, socket, sys, threading, time
libc = ctypes.CDLL(None)
theirs = sys.argv[1].encode()
mine = b"mine".ljust(len(theirs), b"\\0")
server = socket.socket(socket.AF_UNIX); server.bind("mine"); server.listen(1000)
os.symlink("mine", "a"); os.symlink(sys.argv[1], "b")
address = ctypes.create_string_buffer(b"\\1\\0" + mine + b"\\0", 110)
end = time.monotonic() + 2

def rewrite():
    while time.monotonic() < end:
        ctypes.memmove(ctypes.addressof(address) + 2, theirs, len(theirs))
        ctypes.memmove(ctypes.addressof(address) + 2, mine, len(theirs))

def swap():
    while time.monotonic() < end:
        os.rename("a", "t"); os.rename("b", "a"); os.rename("t", "b")

def accept():
    while time.monotonic() < end:
        try:
            server.accept()[0].close()
        except OSError:
            pass

server.settimeout(0.2)
threads = [threading.Thread(target=each) for each in (rewrite, swap, accept)]
[thread.start() for thread in threads]
tries = connected = 0
while time.monotonic() < end:
    for target in (address, None):
        client = socket.socket(socket.AF_UNIX)
        client.setblocking(False)
        if target is not None:
            result = libc.connect(client.fileno(), target, 110)
        else:
            result = client.connect_ex("a")
        tries += 1
        connected += result == 0
        client.close()
[thread.join() for thread in threads]
print(tries > 100, connected > 0)
"""
    with ExitStack() as stack:
        server = listen(stack, lake / "socket")
        done = reader.run(sys.executable, "-P", "-c", code, str(lake / "socket"))
        assert done.stdout == "True True\n", done.stderr
        with pytest.raises(BlockingIOError):
            server.accept()


def test_no_other_way_leads_to_a_socket_outside(reader: Jail, lake: Path) -> None:
    """Descriptors of folders, links of proc, pairs of datagram sockets that send to a path."""
    code = """
import os, socket, sys
folder, done = sys.argv[1], []
held = os.open(folder, os.O_RDONLY)
found = os.open(folder + "/socket", os.O_PATH)
ways = {
    "descriptor of the folder": lambda: socket.socket(socket.AF_UNIX).connect(f"/proc/self/fd/{held}/socket"),
    "descriptor of the socket": lambda: socket.socket(socket.AF_UNIX).connect(f"/proc/self/fd/{found}"),
    "dev": lambda: socket.socket(socket.AF_UNIX).connect(f"/dev/fd/{found}"),
    "root": lambda: socket.socket(socket.AF_UNIX).connect(f"/proc/{os.getpid()}/root{folder}/socket"),
    "its folder as the current one": lambda: (os.chdir(folder), socket.socket(socket.AF_UNIX).connect("socket")),
    "datagram": lambda: socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM).sendto(b"x", folder + "/datagrams"),
    "raw": lambda: socket.socket(socket.AF_UNIX, socket.SOCK_RAW).sendto(b"x", folder + "/datagrams"),
    "pair": lambda: socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM)[0].sendto(b"x", folder + "/datagrams"),
    "message": lambda: socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM).sendmsg([b"x"], [], 0, folder + "/datagrams"),
    "stream": lambda: socket.socket(socket.AF_UNIX).sendto(b"x", folder + "/socket"),
    "another name": lambda: (os.link(folder + "/socket", "here"), socket.socket(socket.AF_UNIX).connect("here")),
    "another place": lambda: (os.rename(folder + "/socket", "here"), socket.socket(socket.AF_UNIX).connect("here")),
}
for name, way in ways.items():
    try:
        way()
        done.append(name)
    except OSError:
        pass
print(done)
"""
    with ExitStack() as stack:
        server = listen(stack, lake / "socket")
        datagrams = listen(stack, lake / "datagrams", socket.SOCK_DGRAM)
        assert reader.run(sys.executable, "-P", "-c", code, str(lake)).stdout == "[]\n"
        with pytest.raises(BlockingIOError):
            server.accept()
        with pytest.raises(BlockingIOError):
            datagrams.recv(1)


def test_a_socket_in_a_sealed_folder_of_the_workspace_is_not_reached(jail: Jail) -> None:
    """As git keeps one in `.git` for its own watcher outside."""
    if jail.sandbox.level != "full":
        pytest.skip("only at level full can something in the workspace be sealed")
    sealed = jail.policy.workspace / ".git"
    sealed.mkdir()
    code = """
import socket
for path in (".git/watcher", "watcher"):
    try:
        socket.socket(socket.AF_UNIX).connect(path)
        print("reached")
    except OSError as exc:
        print(exc.strerror)
"""
    policy = Policy(jail.policy.workspace, jail.policy.runtime, sealed=(sealed,))
    with ExitStack() as stack, pytest.MonkeyPatch.context() as patch:
        patch.chdir(jail.policy.workspace)
        servers = [listen(stack, Path(name)) for name in (".git/watcher", "watcher")]
        told = Jail(jail.sandbox, policy).python(code).splitlines()
        assert told == ["Permission denied", "reached"]
        with pytest.raises(BlockingIOError):
            servers[0].accept()


def test_a_fifo_in_a_folder_that_may_be_read_is_not_written(reader: Jail, lake: Path) -> None:
    (lake / "inner").mkdir()
    paths = [lake / "fifo", lake / "inner/fifo"]
    for path in paths:
        os.mkfifo(path)
    held = [os.open(path, os.O_RDWR | os.O_NONBLOCK) for path in paths]
    code = """
import os, sys
for path in sys.argv[1:]:
    for flags in (os.O_WRONLY, os.O_RDWR):
        try:
            os.write(os.open(path, flags | os.O_NONBLOCK), b"x")
            print("written", path)
        except OSError:
            pass
"""
    try:
        assert reader.run(sys.executable, "-P", "-c", code, *map(str, paths)).stdout == ""
        for descriptor in held:
            with pytest.raises(BlockingIOError):
                os.read(descriptor, 1)
    finally:
        for descriptor in held:
            os.close(descriptor)


def test_our_settings_and_state_stay_hidden_in_a_readable_home(
    jail: Jail, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    home = tmp_path / "home"
    monkeypatch.setenv("XDG_CONFIG_HOME", str(home / ".config"))
    monkeypatch.setenv("XDG_STATE_HOME", str(home / ".local/state"))
    ours = [home / ".config/analystd/settings.env", home / ".local/state/analystd/token"]
    others = [home / ".config/other", home / ".local/state/other", home / "data/deep/bars.csv", home / "notes"]
    for path in (*ours, *others):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(path.name)
    (home / "data/link").symlink_to(ours[0])
    (home / "up").symlink_to(tmp_path)
    code = """
import os, sys
for path in sys.argv[1:]:
    try:
        print(open(path).read())
    except OSError:
        print("refused")
"""
    around = reading(jail, home)
    links = [home / "data/link", home / "up/home/.config/analystd/settings.env", home / "up/beside"]
    (tmp_path / "beside").write_text("secret")
    told = around.run(sys.executable, "-P", "-c", code, *map(str, [*ours, *links, *others])).stdout.splitlines()
    assert told == ["refused"] * 5 + [path.name for path in others]
    names = around.run(sys.executable, "-P", "-c", f"import os; print(sorted(os.listdir({str(home)!r})))")
    assert names.stdout == "['.config', '.local', 'data', 'notes', 'up']\n"


@pytest.mark.skipif(os.geteuid() != 0, reason="needs to run as root")
def test_of_an_unlistable_folder_only_the_known_paths_are_readable(tmp_path: Path) -> None:
    """As `/home` often is, with `AGENT_READ_ONLY_PATHS=/`."""
    python = shutil.which("python3", path="/usr/bin")
    if python is None:
        pytest.skip("there is no interpreter that an ordinary user may run")
    for name in ("homes/mine/.config/ours", "homes/mine/data", "homes/other"):
        (tmp_path / name).mkdir(parents=True)
    (tmp_path / "homes/mine").chmod(0o755)
    (tmp_path / "homes").chmod(0o711)
    for parent in (tmp_path, *tmp_path.parents[:2]):
        parent.chmod(parent.stat().st_mode | 0o011)
    code = "import sys; from analystd.jail.launcher import _readable; print(*sorted(path for path, _ in _readable(sys.argv[1], sys.argv[2:])))"
    packages = str(Path(self_test.__file__).parents[2])
    words = [python, "-c", code, str(tmp_path / "homes"), str(tmp_path / "homes/mine/.config/ours")]
    told = subprocess.check_output(
        words, env={"PYTHONPATH": packages}, user=65534, group=65534, extra_groups=[], text=True
    )
    homes = tmp_path / "homes"
    assert told.split() == [str(each) for each in (homes, homes / "mine", homes / "mine/.config", homes / "mine/data")]


def test_sockets_of_the_jail_itself_work(jail: Jail) -> None:
    """By name, by whole path, over a link or a descriptor; from threads and children; waiting or not; and what is wrong says what it is."""
    code = """
import errno, os, socket, subprocess, sys, threading
server = socket.socket(socket.AF_UNIX); server.bind("mine"); server.listen(50)
os.mkdir("folder"); os.symlink("mine", "link"); os.symlink("..", "folder/up")
held = os.open(".", os.O_RDONLY)
for path in ("mine", "./mine", os.path.abspath("mine"), "link", "folder/up/mine", f"/proc/self/fd/{held}/mine", b"mine"):
    client = socket.socket(socket.AF_UNIX)
    client.connect(path)
    assert client.getpeername() == "mine", path
    server.accept()[0].sendall(b"hello")
    assert client.recv(5) == b"hello"

def connect():
    socket.socket(socket.AF_UNIX).connect("mine")
    outcomes.append(1)

outcomes = []
threads = [threading.Thread(target=connect) for _ in range(30)]
[thread.start() for thread in threads]; [thread.join() for thread in threads]
print(len(outcomes))
subprocess.run([sys.executable, "-c", "import socket; socket.socket(socket.AF_UNIX).connect('mine')"], check=True)
def error(path, waits=True):
    client = socket.socket(socket.AF_UNIX)
    client.setblocking(waits)
    return errno.errorcode.get(client.connect_ex(path), "connected")
open("file", "w").close()
full = socket.socket(socket.AF_UNIX); full.bind("full"); full.listen(0)
print(error("nowhere"), error("file"), error("full", False), error("full", False), error("full", False))
pairs = socket.socketpair(), socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
print(*(one.send(b"x") for one, _ in pairs))
"""
    assert jail.python(code).splitlines() == ["30", "ENOENT ECONNREFUSED connected EAGAIN EAGAIN", "1 1"]


def test_a_connection_that_waits_can_be_interrupted(jail: Jail) -> None:
    code = """
import signal, socket
full = socket.socket(socket.AF_UNIX); full.bind("full"); full.listen(0)
held = []
for _ in range(50):
    client = socket.socket(socket.AF_UNIX); client.setblocking(False); held.append(client)
    if client.connect_ex("full"):
        break
signal.alarm(1)
def stop(*_):
    raise TimeoutError
signal.signal(signal.SIGALRM, stop)
try:
    socket.socket(socket.AF_UNIX).connect("full")
except TimeoutError:
    print("interrupted")
again = socket.socket(socket.AF_UNIX)
other = socket.socket(socket.AF_UNIX); other.bind("other"); other.listen()
again.connect("other")
print("others go on")
"""
    assert jail.python(code) == "interrupted\nothers go on\n"


def test_signals_in_the_middle_of_connecting_do_no_harm(jail: Jail) -> None:
    code = """
import signal, socket
signal.signal(signal.SIGALRM, lambda *_: None)
signal.siginterrupt(signal.SIGALRM, False)
signal.setitimer(signal.ITIMER_REAL, 0.001, 0.001)
server = socket.socket(socket.AF_UNIX); server.bind("mine"); server.listen(10)
for _ in range(1000):
    client = socket.socket(socket.AF_UNIX)
    client.connect("mine")
    server.accept()[0].close()
    client.close()
signal.setitimer(signal.ITIMER_REAL, 0)
print("done")
"""
    assert jail.python(code) == "done\n"


def test_connections_over_the_limit_fail_with_try_again(jail: Jail) -> None:
    if landlock.abi() >= landlock.RESOLVE_UNIX_ABI:
        pytest.skip("Landlock itself looks at connections here")
    code = """
import errno, os, socket, threading, time
full = socket.socket(socket.AF_UNIX); full.bind("full"); full.listen(0)
outcomes = []
def connect():
    outcomes.append(socket.socket(socket.AF_UNIX).connect_ex("full"))
threads = [threading.Thread(target=connect, daemon=True) for _ in range(100)]
[thread.start() for thread in threads]
end = time.monotonic() + 20
while outcomes.count(errno.EAGAIN) < 30 and time.monotonic() < end:
    time.sleep(0.01)
print(outcomes.count(errno.EAGAIN) >= 30, flush=True)
os._exit(0)
"""
    assert jail.python(code) == "True\n"


def test_the_search_for_fifos_follows_no_links_and_skips_excluded_folders(tmp_path: Path) -> None:
    for name in ("a", "b/c", "left/out"):
        (tmp_path / name).mkdir(parents=True)
        os.mkfifo(tmp_path / name / "fifo")
    (tmp_path / "a/again").symlink_to(tmp_path)
    (tmp_path / "a/file").touch()
    found = fifos.find(str(tmp_path), except_below=[str(tmp_path / "left")])
    assert sorted(found) == [str(tmp_path / "a/fifo"), str(tmp_path / "b/c/fifo")]
    assert list(fifos.find(str(tmp_path / "a/fifo"))) == [str(tmp_path / "a/fifo")]
    assert list(fifos.find(str(tmp_path / "a/file"))) == []


NO_DESCRIPTORS_OF_OTHERS = """
import asyncio, struct, sys
from analystd.jail import seccomp
from analystd.jail.sandbox import measure_level
instruction = lambda *values: struct.pack("=HBBI", *values)
seccomp.install(b"".join([
    instruction(0x20, 0, 0, 0),
    instruction(0x15, 0, 1, 438),
    instruction(0x06, 0, 0, 0x50000 | 1),
    instruction(0x06, 0, 0, 0x7FFF0000),
]))
measured = asyncio.run(measure_level(sys.argv[1]))
print(measured.level, measured.walls["readable_socket"], *measured.gaps, sep="\\n")
"""


@pytest.mark.parametrize("level", ["full", "partial"])
def test_the_gap_is_reported_if_the_keeper_may_not_inspect_its_child(level: str) -> None:
    offered_or_skip(level)
    if landlock.abi() >= landlock.RESOLVE_UNIX_ABI:
        pytest.skip("Landlock itself looks at connections here")
    told = subprocess.check_output([sys.executable, "-c", NO_DESCRIPTORS_OF_OTHERS, level], text=True).splitlines()
    assert told[:2] == [level, "gap"]
    assert self_test.TABLE["readable_socket"].breach in told[2:]
    assert (self_test.TABLE["path_socket"].breach in told[2:]) == (level == "partial")
