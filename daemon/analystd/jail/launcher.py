"""The launcher: locks itself in, then becomes the program that it was given.

    python -I -S launcher.py level=partial workspace=DIR runtime=DIR read=PATH… file=DEVICE:INODE:PATH… device=PATH… -- program argument…

It runs before anything heavy is imported, because walls hold for the threads that are there and for those that they start: the threads of
a library that was loaded earlier would stay outside. So it needs the standard library only, and little of that: each start waits for it.
"""

from __future__ import annotations

import os
import resource
import sys

if __name__ == "__main__":
    sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__)))))  # noqa: PTH100, PTH120

from analystd.jail import bubblewrap, capabilities, connections, landlock, namespaces, seals, seccomp, supervisor

# Importing `typing` would take longer than putting up the walls.
TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from typing import NoReturn

CHANNEL_VARIABLES = ("ANALYSTD_CHANNEL_FD", "ANALYSTD_DESCRIPTORS_FD")
"""The variables of `analystd.workers` that name the descriptors which stay open."""

WALL_ERROR = 71
"""Exit status when a wall could not be put up."""
NOT_STARTED = 127
"""Exit status when the program could not be started, as shells have it."""

_OOM_SCORE = "500"
_SHARED_MEMORY = "/dev/shm"
_OWN_THREADS = "/proc/self/task"
_OWN_WORLD = ("/tmp", "/dev/pts", "/dev/tty")
"""What is private in a mount namespace, and everybody's elsewhere."""


class LaunchOptions:
    """What the launcher was told: the level and the paths that stay in reach."""

    def __init__(self, words: Sequence[str]) -> None:
        pairs = [word.partition("=") for word in words]
        told = {name: value for name, _, value in pairs}
        self.words = words
        """All that was told, for the second half."""
        self.isolated = told["level"] == "full"
        self.bwrap = told.get("bwrap")
        """The program that makes the namespaces, if this one is not to make them."""
        self.keeper = [int(number) for number in told.get("keeper", "").split(",") if number]
        """The descriptors to the launcher, told to its second half, which that program starts inside."""
        self.workspace = told["workspace"]
        self.runtime = told["runtime"]
        self.read = [value for name, _, value in pairs if name == "read"]
        self.files = [tuple(value.split(":", 2)) for name, _, value in pairs if name == "file"]
        """Device, inode and path of single files that are to be read."""
        self.devices = [value for name, _, value in pairs if name == "device"]
        self.hide = [value for name, _, value in pairs if name == "hide"]
        self.sealed = [value for name, _, value in pairs if name == "seal"]
        """What is in the workspace or the private folder and shall not be changed, by paths without links."""
        self.pinned = [value for name, _, value in pairs if name == "pin"]
        """The folders there that shall not be renamed, the outermost first."""
        self.names_threads = told.get("threads") == "named"
        """Whether the program gives its threads names, as CUDA does, which refuses to start where it may not."""


def main() -> NoReturn:
    """Put up the walls that are told before `--`, and run what stands after it."""
    end = sys.argv.index("--")
    walls, argv = LaunchOptions(sys.argv[1:end]), sys.argv[end + 1 :]
    try:
        if walls.keeper:
            supervisor.close_descriptors(_channel() | set(walls.keeper))
            meeting = connections.Meeting()
            supervisor.keep(
                lambda: _settle(walls),
                lambda: _run(walls, argv, meeting),
                lambda program: _attend(program, walls, meeting),
                *walls.keeper,
            )
        _launch(walls, argv)
    except OSError as exc:
        _give_up(WALL_ERROR, f"the walls could not be put up: {exc}")


def _launch(walls: LaunchOptions, argv: list[str]) -> NoReturn:
    _die_with_daemon()
    supervisor.close_descriptors(_channel())
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    _offer_to_the_oom_killer()
    if walls.bwrap:
        supervisor.launch_through(
            lambda alive, tell: _become_bwrap(walls, argv, alive, tell), lambda process: _seal_inside(process, walls)
        )
    if walls.isolated:
        namespaces.leave((walls.workspace, walls.runtime))
    meeting = connections.Meeting()
    supervisor.launch(
        lambda: _build_world(walls),
        lambda: _run(walls, argv, meeting),
        lambda program: _attend(program, walls, meeting),
    )


def _become_bwrap(walls: LaunchOptions, argv: list[str], *descriptors: int) -> NoReturn:
    """Have this launcher started a second time, inside; it and what it imports are shown for that."""
    assert walls.bwrap is not None
    ours = os.path.dirname(os.path.abspath(__file__))  # noqa: PTH100, PTH120
    itself = [ours, os.path.dirname(ours) + "/__init__.py"]  # noqa: PTH120
    inside = [sys.executable, "-I", "-S", ours + "/launcher.py"]
    words = [*walls.words, f"keeper={','.join(map(str, descriptors))}"]
    told = bubblewrap.arguments(_plan(walls, *itself), walls.workspace)
    try:
        os.execv(walls.bwrap, [walls.bwrap, *told, *inside, *words, "--", *argv])
    except OSError as exc:
        _give_up(WALL_ERROR, f"the walls could not be put up: {walls.bwrap}: {exc.strerror}")


def _seal_inside(process: int, walls: LaunchOptions) -> None:
    """Put on the seals of a world that bwrap built: it would follow a link that was swapped in meanwhile.

    Raises:
        OSError: when that cannot be done; the program is not started then.
    """
    if not (walls.sealed or walls.pinned):
        return
    child = os.fork()
    if child == 0:
        try:
            seals.enter_namespaces(process)
            seals.seal_all("/", [path.lstrip("/") for path in walls.pinned], read_only=False)
            seals.seal_all("/", [path.lstrip("/") for path in walls.sealed])
        except OSError as exc:
            _give_up(WALL_ERROR, f"the walls could not be put up: {exc}")
        os._exit(0)
    _, status = os.waitpid(child, 0)
    if status:
        os._exit(WALL_ERROR)


def _plan(walls: LaunchOptions, *also_read: str) -> list[namespaces.Step]:
    read = [*walls.read, *(path for _, _, path in walls.files), *also_read]
    write, seal, pin = [walls.workspace, walls.runtime], walls.sealed, walls.pinned
    return namespaces.plan(read=read, write=write, devices=walls.devices, hide=walls.hide, seal=seal, pin=pin)


def _build_world(walls: LaunchOptions) -> None:
    """What the keeper does before it starts the program."""
    if walls.isolated:
        root = walls.runtime + "/.root"
        os.makedirs(root, exist_ok=True)  # noqa: PTH103
        namespaces.build(root, _plan(walls))
    _settle(walls)


def _settle(walls: LaunchOptions) -> None:
    """The rest of it, where the world is built."""
    if walls.isolated:
        capabilities.drop_all(keep=_needed_capabilities(walls))
    os.chdir(walls.workspace)


def _attend(program: int, walls: LaunchOptions, meeting: connections.Meeting) -> set[int]:
    """What the keeper does once the program's process is there."""
    folders = [walls.workspace, walls.runtime, *([_SHARED_MEMORY, *_OWN_WORLD] if walls.isolated else [])]
    return meeting.host(program, connections.Broker(folders, abstract=walls.isolated))


def _run(walls: LaunchOptions, argv: list[str], meeting: connections.Meeting) -> NoReturn:
    # A process of this number means something else in a process namespace, and a kernel that misses its parent ends.
    if walls.isolated:
        os.environ.pop("JPY_PARENT_PID", None)
    try:
        lock_in(walls, meeting)
    except OSError as exc:
        _give_up(WALL_ERROR, f"the walls could not be put up: {exc}")
    try:
        os.execvp(argv[0], argv)
    except OSError as exc:
        _give_up(NOT_STARTED, f"{argv[0]} could not be started: {exc.strerror}")


def lock_in(walls: LaunchOptions, meeting: connections.Meeting) -> None:
    """Confine this process: no privileges, files by Landlock, system calls by seccomp.

    Raises:
        OSError: when a wall cannot be had.
    """
    capabilities.drop_all(keep=_needed_capabilities(walls))
    version = landlock.restrict(_rules(walls), tcp=walls.isolated)
    machine, knows_truncate = seccomp.own_machine(), version >= landlock.TRUNCATE_ABI

    def install(is_answered: bool) -> int | None:
        hand_over = is_answered and version < landlock.RESOLVE_UNIX_ABI
        program = seccomp.build_filter(machine, isolated=walls.isolated, truncate=knows_truncate, hand_over=hand_over)
        return seccomp.install(program, listener=hand_over)

    meeting.attend(install)


def _needed_capabilities(walls: LaunchOptions) -> int:
    """Root in a container often works in a folder of the host's user; the walls then still say which files it may open."""
    foreign = any(os.stat(folder).st_uid != os.geteuid() for folder in (walls.workspace, walls.runtime))  # noqa: PTH116
    return 1 << capabilities.DAC_OVERRIDE if foreign else 0


def _rules(walls: LaunchOptions) -> list[tuple[str, int]]:
    return [
        *((path, landlock.WRITE) for path in (walls.workspace, walls.runtime, _SHARED_MEMORY)),
        *((path, landlock.DEVICE) for path in walls.devices),
        *((path, landlock.WRITE | landlock.IOCTL_DEV) for path in _OWN_WORLD if walls.isolated),
        *(rule for path in (*walls.read, "/proc") for rule in _readable(path, () if walls.isolated else walls.hide)),
        *((_descriptor_of(*file), landlock.READ_FILE) for file in walls.files),
        *([(_OWN_THREADS, landlock.WRITE_FILE | landlock.TRUNCATE)] if walls.names_threads else []),
    ]


def _readable(path: str, hidden: Sequence[str]) -> Iterator[tuple[str, int]]:
    """Let `path` be read without what is hidden in it, which Landlock can only do by naming all the rest; folders there can be listed."""
    real = os.path.realpath(path)
    hidden = [os.path.realpath(each) for each in hidden]
    if any(f"{real}/".startswith(f"{each}/") for each in hidden):
        return
    if not any(each.startswith(real.rstrip("/") + "/") for each in hidden):
        yield path, landlock.READ
        return
    yield path, landlock.READ_DIR
    for entry in _entries(real, hidden):
        if not os.path.islink(entry):  # noqa: PTH114
            yield from _readable(entry, hidden)


def _entries(folder: str, ways: Sequence[str]) -> list[str]:
    """What is in a folder; of one that may be entered but not listed, what lies on the `ways` through it."""
    stem = folder.rstrip("/") + "/"
    try:
        return [stem + name for name in os.listdir(folder)]  # noqa: PTH208
    except OSError:
        return list({stem + way.removeprefix(stem).split("/")[0] for way in ways if way.startswith(stem)})


def _descriptor_of(device: str, inode: str, path: str) -> str:
    """Return a path to a file by way of a descriptor, so that what was looked at is also what the rule is for.

    Raises:
        OSError: when `path` leads to another file than the one that was meant.
    """
    descriptor = os.open(path, os.O_PATH | os.O_CLOEXEC)
    status = os.fstat(descriptor)
    if (str(status.st_dev), str(status.st_ino)) != (device, inode):
        raise OSError(f"another file has been put in the place of {path}")
    return f"/proc/self/fd/{descriptor}"


def _die_with_daemon() -> None:
    parent = os.getppid()
    supervisor.die_with_parent()
    if os.getppid() != parent:
        os._exit(WALL_ERROR)


def _channel() -> set[int]:
    """The descriptors that stay open for a worker to speak through."""
    return {int(os.environ[name]) for name in CHANNEL_VARIABLES if name in os.environ}


def _offer_to_the_oom_killer() -> None:
    """When memory runs out, the jailed program is what the kernel should end, rather than the daemon."""
    with open("/proc/self/oom_score_adj", "w") as file:  # noqa: PTH123
        file.write(_OOM_SCORE)


def _give_up(status: int, message: str) -> NoReturn:
    os.write(2, f"analystd: {message}\n".encode("utf-8", "replace"))
    os._exit(status)


if __name__ == "__main__":
    main()
