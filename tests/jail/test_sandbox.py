"""The walls hold: real attempts by real children, at each level that this machine offers."""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import socket
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.jail.conftest import Jail, new_policy, offered

from analystd.jail import self_test
from analystd.jail.sandbox import LEVELS, Policy, Sandbox, measure_sandbox
from analystd.wire.errors import SessionUnavailableError
from analystd.workers.parent import Worker

ROOT_ONLY = pytest.mark.skipif(os.geteuid() != 0, reason="needs to run as root")

ATTEMPTS = {
    "read a file outside": "open(t['outside'] + '/secret')",
    "read the passwords": "open('/etc/shadow')",
    "read the host's name for keys": "open('/etc/machine-id')",
    "read through a link to the outside": "os.symlink(t['outside'], 'out'); open('out/secret')",
    "read through a link of proc": "open('/proc/self/root' + t['outside'] + '/secret')",
    "list a folder outside": "os.listdir(t['outside'])",
    "list the home": "os.listdir(t['home'])",
    "list the root's folder of settings": "os.listdir('/etc')",
    "write a file outside": "open(t['outside'] + '/made', 'w')",
    "change a file outside": "open(t['outside'] + '/secret', 'a')",
    "empty a file outside": "os.truncate(t['outside'] + '/secret', 0)",
    "remove a file outside": "os.unlink(t['outside'] + '/secret')",
    "move a file out": "open('mine', 'w'); os.rename('mine', t['outside'] + '/mine')",
    "link a file outside into the jail": "os.link(t['outside'] + '/secret', 'secret')",
    "make a folder outside": "os.mkdir(t['outside'] + '/made')",
    "make a device": "os.mknod('disk', 0o060600, os.makedev(8, 0))",
    "change a program": "open('/usr/bin/env', 'a')",
    "change the interpreter": "open(sys.executable, 'a')",
    "change a setting of the kernel": "open('/proc/sys/kernel/core_pattern', 'w')",
    "connect by TCP": "socket.create_connection(('127.0.0.1', t['port']), timeout=2)",
    "ask for a name": "socket.getaddrinfo('example.com', 443)",
    "send by UDP": "socket.socket(socket.AF_INET, socket.SOCK_DGRAM).sendto(b'x', ('8.8.8.8', 53))",
    "listen to packets": "socket.socket(socket.AF_PACKET, socket.SOCK_RAW)",
    "speak to the hypervisor": "socket.socket(40, socket.SOCK_STREAM)",
    "use the kernel's ciphers": "socket.socket(38, socket.SOCK_SEQPACKET)",
    "connect to an abstract socket": "socket.socket(socket.AF_UNIX).connect(t['abstract'])",
    "signal a process outside": "os.kill(t['pid'], 0)",
    "limit a process outside": "resource.prlimit(t['pid'], resource.RLIMIT_CORE, (0, 0))",
    "read the environment of a process outside": "open(f\"/proc/{t['pid']}/environ\").read()",
    "read the memory of a process outside": "open(f\"/proc/{t['pid']}/mem\", 'rb')",
    "follow a descriptor of a process outside": "os.readlink(f\"/proc/{t['pid']}/fd/0\")",
    "follow the root of a process outside": "os.listdir(f\"/proc/{t['pid']}/root\")",
    "trace a process outside": "call('ptrace', 0x4206, t['pid'], 0, 0)",
    "trace a child": "call('ptrace', 0x4206, child(), 0, 0)",
    "make a user namespace": "call('unshare', 0x10000000)",
    "make a user namespace by clone": "syscall(56 if x86 else 220, 0x10000000 | 17, 0, 0, 0, 0)",
    "make a user namespace by clone3": "syscall(435, ctypes.create_string_buffer((0x10000000).to_bytes(88, 'little')), 88)",
    "join a namespace": "call('setns', os.open('/proc/self/ns/mnt', 0), 0)",
    "mount": "call('mount', b'none', b'.', b'tmpfs', 0, None)",
    "mount anew": "syscall(428, -100, b'.', 1)",
    "change the root": "os.chroot('.')",
    "use io_uring": "syscall(425, 8, ctypes.create_string_buffer(200))",
    "load a program into the kernel": "syscall(321 if x86 else 280, 0, ctypes.create_string_buffer(200), 200)",
    "watch the processor's counters": "syscall(298 if x86 else 241, ctypes.create_string_buffer(200), 0, -1, -1, 0)",
    "handle page faults": "syscall(323 if x86 else 282, 0)",
    "reach the keys": "syscall(250 if x86 else 219, 0, -3, 0)",
    "set the clock": "time.clock_settime(time.CLOCK_REALTIME, time.time())",
    "set the host's name": "socket.sethostname('jail')",
    "restart the machine": "call('reboot', 0x89ABCDEF)",
    "type into a terminal": "fcntl.ioctl(0, 0x5412, b'x')",
    "become another user": "os.setuid(65533)",
}

ATTEMPT = """
import ctypes, fcntl, json, os, resource, socket, sys, time
t, attempts = json.loads(sys.argv[1])
libc = ctypes.CDLL(None, use_errno=True)
x86 = os.uname().machine == "x86_64"

def call(name, *arguments):
    if getattr(libc, name)(*arguments) < 0:
        raise OSError(ctypes.get_errno(), name)

def syscall(*arguments):
    if libc.syscall(*arguments) < 0:
        raise OSError(ctypes.get_errno(), "syscall")

def child():
    pid = os.fork()
    if not pid:
        time.sleep(0.5)
        os._exit(0)
    return pid

outcomes = {}
for name, code in attempts.items():
    try:
        exec(code)
    except OSError as exc:
        outcomes[name] = type(exc).__name__
print(json.dumps(outcomes))
"""


@pytest.fixture(scope="module")
def outcomes(walls: Sandbox) -> Iterator[dict[str, str]]:
    """Which attempts were refused, and how."""
    with tempfile.TemporaryDirectory() as folder, socket.socket(socket.AF_UNIX) as abstract:
        base = Path(folder)
        (base / "outside").mkdir()
        (base / "outside/secret").write_text("secret")
        abstract.bind(f"\0{base.name}")
        abstract.listen()
        with socket.create_server(("127.0.0.1", 0)) as tcp:
            things = {
                "outside": str(base / "outside"),
                "home": str(Path.home()),
                "port": tcp.getsockname()[1],
                "abstract": f"\0{base.name}",
                "pid": os.getpid(),
            }
            jail = Jail(walls, new_policy(base))
            done = jail.run(sys.executable, "-P", "-c", ATTEMPT, json.dumps([things, ATTEMPTS]))
        assert done.returncode == 0, done.stderr
        assert (base / "outside/secret").read_text() == "secret"
        assert [path.name for path in (base / "outside").iterdir()] == ["secret"]
        yield json.loads(done.stdout)


@pytest.mark.parametrize("attempt", ATTEMPTS)
def test_it_is_refused_to(outcomes: dict[str, str], attempt: str) -> None:
    assert attempt in outcomes


def test_the_attempts_themselves_would_succeed_outside() -> None:
    """A wall that was never run into proves nothing: without one, an ordinary file is read and a process seen."""
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / "secret").touch()
        things = {"outside": folder, "pid": os.getpid()}
        names = ("read a file outside", "list a folder outside", "signal a process outside")
        chosen = {name: ATTEMPTS[name] for name in names}
        output = subprocess.check_output([sys.executable, "-c", ATTEMPT, json.dumps([things, chosen])], text=True)
    assert json.loads(output) == {}


def test_the_workspace_and_the_runtime_folder_are_written(jail: Jail) -> None:
    jail.python(
        "import os; open('x', 'w').write('1'); os.makedirs('a/b'); os.rename('x', 'a/b/x'); os.truncate('a/b/x', 0)"
    )
    jail.python("import os; open(os.environ['JUPYTER_RUNTIME_DIR'] + '/y', 'w').write('2')")
    assert (jail.policy.workspace / "a/b/x").exists()
    assert (jail.policy.runtime / "y").read_text() == "2"


def test_read_only_paths_are_read_and_not_written(jail: Jail, tmp_path: Path) -> None:
    (tmp_path / "lake").mkdir()
    (tmp_path / "lake/bars.csv").write_text("open\n")
    policy = Policy(jail.policy.workspace, jail.policy.runtime, read_only=(tmp_path / "lake",))
    wider = Jail(jail.sandbox, policy)
    path = str(tmp_path / "lake/bars.csv")
    assert wider.python(f"print(open({path!r}).read(), end='')") == "open\n"
    assert wider.run(sys.executable, "-c", f"open({path!r}, 'a')").returncode == 1


def test_home_temporary_folder_and_current_folder_are_the_workspace(jail: Jail) -> None:
    code = "import os, pathlib, tempfile; print(os.getcwd(), pathlib.Path.home(), tempfile.gettempdir(), sep='\\n')"
    assert set(jail.python(code).split()) == {str(jail.policy.workspace)}


def test_nothing_of_our_environment_gets_in(jail: Jail, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AGENT_MODEL_API_KEY", "secret")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "secret")
    monkeypatch.setenv("OMP_NUM_THREADS", "3")
    inside = json.loads(jail.python("import json, os; print(json.dumps(dict(os.environ)))"))
    assert "secret" not in inside.values()
    assert inside["OMP_NUM_THREADS"] == "3"


def test_packages_in_the_workspace_do_not_run_at_the_start(jail: Jail) -> None:
    site = jail.policy.workspace / ".local/lib" / f"python3.{sys.version_info.minor}" / "site-packages"
    site.mkdir(parents=True)
    (site / "usercustomize.py").write_text("print('planted')")
    (site / "planted.pth").write_text("import sys; print('planted')\n")
    assert jail.python("print('clean')") == "clean\n"


def test_descriptors_are_not_inherited(jail: Jail, tmp_path: Path) -> None:
    secret = os.open(tmp_path, os.O_RDONLY)
    try:
        command = jail.sandbox.command(
            [sys.executable, "-c", "import os; print(sorted(os.listdir('/proc/self/fd')))"], jail.policy
        )
        output = subprocess.check_output(
            command, env=jail.sandbox.environment(jail.policy), pass_fds=[secret], text=True
        )
    finally:
        os.close(secret)
    assert output == "['0', '1', '2', '3']\n"


def test_a_hard_limit_forbids_core_dumps(jail: Jail) -> None:
    assert jail.python("import resource; print(resource.getrlimit(resource.RLIMIT_CORE))") == "(0, 0)\n"


def test_there_are_no_privileges_to_get(jail: Jail) -> None:
    status = jail.python("print(open('/proc/self/status').read())")
    facts = dict(line.split(":\t", 1) for line in status.splitlines() if ":\t" in line)
    assert {facts[name] for name in ("CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb")} == {"0" * 16}
    assert (facts["NoNewPrivs"], facts["Seccomp"]) == ("1", "2")


def test_an_analysis_runs_inside(jail: Jail) -> None:
    code = """
import numpy, pandas, pyarrow.parquet
frame = pandas.DataFrame({"x": numpy.arange(3)})
frame.to_parquet("x.parquet")
print(pandas.read_parquet("x.parquet")["x"].sum())
"""
    assert jail.python(code) == "3\n"


def test_a_plot_is_drawn_inside(jail: Jail) -> None:
    pytest.importorskip("matplotlib")
    jail.python("import matplotlib.pyplot as plt; plt.plot([1, 2]); plt.savefig('x.png')")
    assert (jail.policy.workspace / "x.png").read_bytes().startswith(b"\x89PNG")


def test_programs_are_started_inside(jail: Jail) -> None:
    assert jail.python("import subprocess; subprocess.run('echo hello | tr a-z A-Z', shell=True)") == "HELLO\n"


@pytest.mark.parametrize("method", ["fork", "spawn", "forkserver"])
def test_multiprocessing_works_inside(jail: Jail, method: str) -> None:
    (jail.policy.workspace / "squares.py").write_text(
        "import multiprocessing\n"
        "if __name__ == '__main__':\n"
        f"    with multiprocessing.get_context({method!r}).Pool(2) as pool:\n"
        "        print(pool.map(abs, [-1, -2]))\n"
    )
    done = jail.run(sys.executable, "squares.py")
    assert (done.stdout, done.returncode) == ("[1, 2]\n", 0), done.stderr


def test_shared_memory_works_inside(jail: Jail) -> None:
    code = """
from multiprocessing import Lock, shared_memory
Lock()
block = shared_memory.SharedMemory(create=True, size=10_000_000)
block.buf[:2] = b"ok"
again = shared_memory.SharedMemory(block.name)
print(bytes(again.buf[:2]))
block.unlink()
"""
    assert "ok" in jail.python(code)


def test_sockets_of_zeromq_work_inside(jail: Jail) -> None:
    """libzmq lists the network's interfaces, and aborts on an answer that it does not expect."""
    code = """
import os, zmq
context = zmq.Context()
server, client = context.socket(zmq.REP), context.socket(zmq.REQ)
server.bind("ipc://" + os.environ["JUPYTER_RUNTIME_DIR"] + "/zmq")
client.connect(server.getsockopt_string(zmq.LAST_ENDPOINT))
client.send(b"hello")
print(server.recv())
for address in ("tcp://127.0.0.1:*", "tcp://*:*", "tcp://localhost:*", "tcp://eth0:*"):
    try:
        context.socket(zmq.PULL).bind(address)
    except zmq.ZMQError:
        pass
"""
    assert jail.python(code) == "b'hello'\n"


def test_a_socket_in_the_runtime_folder_is_reached_from_outside(jail: Jail) -> None:
    code = """
import os, socket
server = socket.socket(socket.AF_UNIX)
server.bind(os.environ["JUPYTER_RUNTIME_DIR"] + "/s")
server.listen()
print("listening", flush=True)
server.accept()[0].sendall(b"hello")
"""
    process = subprocess.Popen(
        jail.sandbox.command([sys.executable, "-c", code], jail.policy),
        env=jail.sandbox.environment(jail.policy),
        stdout=subprocess.PIPE,
        text=True,
    )
    with process, socket.socket(socket.AF_UNIX) as client:
        assert process.stdout is not None
        assert process.stdout.readline() == "listening\n"
        client.connect(str(jail.policy.runtime / "s"))
        assert client.recv(5) == b"hello"


async def test_a_worker_answers_through_the_walls(jail: Jail, tmp_path: Path) -> None:
    (jail.policy.workspace / "echo.py").write_text(
        "import os\nfrom analystd.workers.child import Channel\n"
        "channel = Channel()\n"
        "channel.ready({'pid': os.getpid()})\n"
        "for request in channel:\n"
        "    request.reply({'read': os.read(request.descriptors[0], 100).decode(), 'said': request.params['say']})\n"
    )
    (tmp_path / "outside.txt").write_text("given by descriptor")
    worker = await Worker.start(
        "echo",
        jail.sandbox.command([sys.executable, "echo.py"], jail.policy),
        environment=jail.sandbox.environment(jail.policy),
    )
    descriptor = os.open(tmp_path / "outside.txt", os.O_RDONLY)
    try:
        answer = await worker.request("x", {"say": "hello"}, descriptors=[descriptor])
    finally:
        os.close(descriptor)
        await worker.aclose()
    assert answer == {"read": "given by descriptor", "said": "hello"}


def test_the_exit_status_is_the_programs_own(jail: Jail) -> None:
    assert jail.run("/bin/sh", "-c", "exit 7").returncode == 7


def test_a_program_that_is_not_there_is_named(jail: Jail) -> None:
    done = jail.run("/nowhere/python")
    assert done.returncode == 127
    assert "/nowhere/python could not be started: No such file or directory" in done.stderr


@ROOT_ONLY
def test_the_walls_hold_for_an_ordinary_user_too(walls: Sandbox) -> None:
    python = shutil.which("python3", path="/usr/bin")
    if python is None:
        pytest.skip("there is no interpreter that an ordinary user may run")
    packages = [
        str(Path(self_test.__file__).parents[2]),
        *(path for path in sys.path if path.endswith("site-packages")),
    ]
    code = (
        "import asyncio; from analystd.jail.sandbox import measure_level; "
        f"measured = asyncio.run(measure_level({walls.level!r}, {walls.namespaces!r})); print(measured.level, measured.reason)"
    )
    done = subprocess.run(
        [python, "-P", "-c", code],
        env={"PYTHONPATH": os.pathsep.join(packages), "HOME": "/nonexistent", "TMPDIR": "/tmp"},
        user=65534,
        group=65534,
        extra_groups=[],
        capture_output=True,
        text=True,
    )
    if "ModuleNotFoundError" in done.stderr:
        pytest.skip(f"{python} cannot import our dependencies")
    assert done.stdout.split()[:1] == [walls.level], done.stdout + done.stderr


def test_the_best_level_is_chosen_and_explained() -> None:
    sandbox = asyncio.run(measure_sandbox("auto"))
    assert sandbox.reason
    assert sandbox.level == next((level for level in LEVELS if offered(level).level == level), "none")


async def test_the_user_may_switch_the_walls_off(tmp_path: Path) -> None:
    sandbox = await measure_sandbox("off")
    assert (sandbox.level, sandbox.reason) == ("none", "AGENT_SANDBOX=off")
    assert sandbox.command(["python", "-c", "pass"], Policy(tmp_path, tmp_path)) == ["python", "-c", "pass"]


def test_without_walls_nothing_is_started(tmp_path: Path) -> None:
    with pytest.raises(SessionUnavailableError, match="no Landlock") as caught:
        Sandbox("none", "no Landlock").command(["python"], Policy(tmp_path, tmp_path))
    assert "AGENT_SANDBOX=off" in (caught.value.hint or "")


def test_gaps_are_described_in_words(walls: Sandbox) -> None:
    assert all(isinstance(gap, str) and gap for gap in walls.gaps)
    assert not any("path sockets" in gap for gap in walls.gaps)


def test_an_attempt_that_was_not_made_counts_as_a_broken_wall() -> None:
    nothing: dict[str, bool] = {}
    assert "files outside can be read" in self_test.broken_walls(nothing)
    assert self_test.broken_walls(dict.fromkeys(self_test.TABLE, False)) == []


def test_each_wall_of_the_self_test_has_a_state(walls: Sandbox) -> None:
    assert set(walls.walls) == set(self_test.TABLE)
    assert [self_test.TABLE[name].breach for name, state in walls.walls.items() if state == "gap"] == list(walls.gaps)
    assert "not held" not in walls.walls.values()
