"""Confine this process, then execute the given program.

    python -I -S launcher.py level=partial workspace=DIR runtime=DIR read=PATH… file=DEVICE:INODE:PATH… device=PATH… -- program argument…

It runs before any large import, because the restrictions apply only to the calling thread and to the threads that it starts later: the
threads of a library that was loaded earlier would stay unconfined. So it needs the standard library only, and little of that, because every
start of a worker waits for it.
"""

from __future__ import annotations

import os
import resource
import sys

if __name__ == "__main__":
    sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__)))))  # noqa: PTH100, PTH120

from analystd.jail import bubblewrap, capabilities, connections, landlock, namespaces, seals, seccomp, supervisor

# Importing `typing` would take longer than setting up the sandbox.
TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from typing import NoReturn

CHANNEL_VARIABLES = ("ANALYSTD_CHANNEL_FD", "ANALYSTD_DESCRIPTORS_FD")
"""The variables of `analystd.workers` that name the descriptors to keep open."""

WALL_ERROR = 71
"""Exit status when the sandbox could not be set up."""
NOT_STARTED = 127
"""Exit status when the program could not be started, as in shells."""

_OOM_SCORE = "500"
_SHARED_MEMORY = "/dev/shm"
_OWN_THREADS = "/proc/self/task"
_OWN_WORLD = ("/tmp", "/dev/pts", "/dev/tty")
"""Private inside a mount namespace, shared with all users elsewhere."""


class LaunchOptions:
    """The launcher's arguments: the level and the accessible paths."""

    def __init__(self, words: Sequence[str]) -> None:
        pairs = [word.partition("=") for word in words]
        values = {name: value for name, _, value in pairs}
        self.words = words
        """All arguments, for the second launcher inside `bwrap`."""
        self.isolated = values["level"] == "full"
        self.bwrap = values.get("bwrap")
        """The program that makes the namespaces; None if this process makes them."""
        self.keeper = [int(number) for number in values.get("keeper", "").split(",") if number]
        """The descriptors to the first launcher, passed to the second one, which `bwrap` starts inside."""
        self.workspace = values["workspace"]
        self.runtime = values["runtime"]
        self.read = [value for name, _, value in pairs if name == "read"]
        self.files = [tuple(value.split(":", 2)) for name, _, value in pairs if name == "file"]
        """Device, inode and path of single readable files."""
        self.devices = [value for name, _, value in pairs if name == "device"]
        self.hide = [value for name, _, value in pairs if name == "hide"]
        self.sealed = [value for name, _, value in pairs if name == "seal"]
        """Paths (without links) in the workspace or the private folder that must not be changed."""
        self.pinned = [value for name, _, value in pairs if name == "pin"]
        """Folders in there that must not be renamed, the outermost first."""
        self.names_threads = values.get("threads") == "named"
        """Whether the program names its threads, as CUDA does: it refuses to start where it may not."""


def main() -> NoReturn:
    """Set up the sandbox described by the arguments before `--`, and run the command after it."""
    end = sys.argv.index("--")
    options, argv = LaunchOptions(sys.argv[1:end]), sys.argv[end + 1 :]
    try:
        if options.keeper:
            supervisor.close_descriptors(_channel() | set(options.keeper))
            meeting = connections.Meeting()
            supervisor.keep(
                lambda: _settle(options),
                lambda: _run(options, argv, meeting),
                lambda program: _attend(program, options, meeting),
                *options.keeper,
            )
        _launch(options, argv)
    except OSError as exc:
        _fail_setup(exc)


def _launch(options: LaunchOptions, argv: list[str]) -> NoReturn:
    _die_with_daemon()
    supervisor.close_descriptors(_channel())
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    _offer_to_the_oom_killer()
    if options.bwrap:
        supervisor.launch_through(
            lambda alive, outcome_writer: _become_bwrap(options, argv, alive, outcome_writer),
            lambda process: _seal_inside(process, options),
        )
    if options.isolated:
        namespaces.leave((options.workspace, options.runtime))
    meeting = connections.Meeting()
    supervisor.launch(
        lambda: _build_root(options),
        lambda: _run(options, argv, meeting),
        lambda program: _attend(program, options, meeting),
    )


def _become_bwrap(options: LaunchOptions, argv: list[str], *descriptors: int) -> NoReturn:
    """Become `bwrap`, which starts this launcher a second time inside; the launcher and its imports are mounted for that."""
    assert options.bwrap is not None
    ours = os.path.dirname(os.path.abspath(__file__))  # noqa: PTH100, PTH120
    itself = [ours, os.path.dirname(ours) + "/__init__.py"]  # noqa: PTH120
    inside = [sys.executable, "-I", "-S", ours + "/launcher.py"]
    words = [*options.words, f"keeper={','.join(map(str, descriptors))}"]
    arguments = bubblewrap.arguments(_plan(options, *itself), options.workspace)
    try:
        os.execv(options.bwrap, [options.bwrap, *arguments, *inside, *words, "--", *argv])
    except OSError as exc:
        _fail_setup(f"{options.bwrap}: {exc.strerror}")


def _seal_inside(process: int, options: LaunchOptions) -> None:
    """Apply the seals in a root folder that `bwrap` built: `bwrap` would follow a link that was swapped in meanwhile.

    Raises:
        OSError: when that fails; the program is not started then.
    """
    if not (options.sealed or options.pinned):
        return
    child = os.fork()
    if child == 0:
        try:
            seals.enter_namespaces(process)
            seals.seal_all("/", [path.lstrip("/") for path in options.pinned], read_only=False)
            seals.seal_all("/", [path.lstrip("/") for path in options.sealed])
        except OSError as exc:
            _fail_setup(exc)
        os._exit(0)
    _, status = os.waitpid(child, 0)
    if status:
        os._exit(WALL_ERROR)


def _plan(options: LaunchOptions, *also_read: str) -> list[namespaces.Step]:
    read = [*options.read, *(path for _, _, path in options.files), *also_read]
    write, seal, pin = [options.workspace, options.runtime], options.sealed, options.pinned
    return namespaces.plan(read=read, write=write, devices=options.devices, hide=options.hide, seal=seal, pin=pin)


def _build_root(options: LaunchOptions) -> None:
    """In the keeper, before it starts the program: build the root folder and enter the workspace."""
    if options.isolated:
        root = options.runtime + "/.root"
        os.makedirs(root, exist_ok=True)  # noqa: PTH103
        namespaces.build(root, _plan(options))
    _settle(options)


def _settle(options: LaunchOptions) -> None:
    """In the keeper, once the root folder is built: drop capabilities and enter the workspace."""
    if options.isolated:
        capabilities.drop_all(keep=_needed_capabilities(options))
    os.chdir(options.workspace)


def _attend(program: int, options: LaunchOptions, meeting: connections.Meeting) -> set[int]:
    """In the keeper, once the program's process exists: serve its connections, and return the descriptors to keep open."""
    folders = [options.workspace, options.runtime, *([_SHARED_MEMORY, *_OWN_WORLD] if options.isolated else [])]
    return meeting.host(program, connections.Broker(folders, abstract=options.isolated))


def _run(options: LaunchOptions, argv: list[str], meeting: connections.Meeting) -> NoReturn:
    # In a process namespace this number names another process, and a kernel that does not find its parent exits.
    if options.isolated:
        os.environ.pop("JPY_PARENT_PID", None)
    try:
        lock_in(options, meeting)
    except OSError as exc:
        _fail_setup(exc)
    try:
        os.execvp(argv[0], argv)
    except OSError as exc:
        _give_up(NOT_STARTED, f"{argv[0]} could not be started: {exc.strerror}")


def lock_in(options: LaunchOptions, meeting: connections.Meeting) -> None:
    """Confine this process: drop privileges, restrict files with Landlock and system calls with seccomp.

    Raises:
        OSError: when the kernel refuses a restriction.
    """
    capabilities.drop_all(keep=_needed_capabilities(options))
    version = landlock.restrict(_rules(options), tcp=options.isolated)
    machine, knows_truncate = seccomp.own_machine(), version >= landlock.TRUNCATE_ABI

    def install(is_answered: bool) -> int | None:
        hand_over = is_answered and version < landlock.RESOLVE_UNIX_ABI
        program = seccomp.build_filter(machine, isolated=options.isolated, truncate=knows_truncate, hand_over=hand_over)
        return seccomp.install(program, listener=hand_over)

    meeting.attend(install)


def _needed_capabilities(options: LaunchOptions) -> int:
    """Return the capabilities to keep: root in a container often works in a folder that belongs to the host's user.

    Landlock still decides which files it may open.
    """
    foreign = any(os.stat(folder).st_uid != os.geteuid() for folder in (options.workspace, options.runtime))  # noqa: PTH116
    return 1 << capabilities.DAC_OVERRIDE if foreign else 0


def _rules(options: LaunchOptions) -> list[tuple[str, int]]:
    return [
        *((path, landlock.WRITE) for path in (options.workspace, options.runtime, _SHARED_MEMORY)),
        *((path, landlock.DEVICE) for path in options.devices),
        *((path, landlock.WRITE | landlock.IOCTL_DEV) for path in _OWN_WORLD if options.isolated),
        *(
            rule
            for path in (*options.read, "/proc")
            for rule in _readable(path, () if options.isolated else options.hide)
        ),
        *((_descriptor_of(*file), landlock.READ_FILE) for file in options.files),
        *([(_OWN_THREADS, landlock.WRITE_FILE | landlock.TRUNCATE)] if options.names_threads else []),
    ]


def _readable(path: str, hidden: Sequence[str]) -> Iterator[tuple[str, int]]:
    """Yield rules to read `path` except for what is `hidden` in it.

    Landlock has no exceptions, so the rules name everything else; folders on the way to a hidden path can be listed.
    """
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
    """Return the entries of a folder; if it can be entered but not listed, those on the `ways` through it."""
    stem = folder.rstrip("/") + "/"
    try:
        return [stem + name for name in os.listdir(folder)]  # noqa: PTH208
    except OSError:
        return list({stem + way.removeprefix(stem).split("/")[0] for way in ways if way.startswith(stem)})


def _descriptor_of(device: str, inode: str, path: str) -> str:
    """Return a path to a file through a descriptor, so that the rule applies to the very file that was checked.

    Raises:
        OSError: when `path` leads to another file than the expected one.
    """
    descriptor = os.open(path, os.O_PATH | os.O_CLOEXEC)
    status = os.fstat(descriptor)
    if (str(status.st_dev), str(status.st_ino)) != (device, inode):
        raise OSError(f"{path} was replaced by another file")
    return f"/proc/self/fd/{descriptor}"


def _die_with_daemon() -> None:
    parent = os.getppid()
    supervisor.die_with_parent()
    if os.getppid() != parent:
        os._exit(WALL_ERROR)


def _channel() -> set[int]:
    """Return the descriptors to keep open for a worker's communication with the daemon."""
    return {int(os.environ[name]) for name in CHANNEL_VARIABLES if name in os.environ}


def _offer_to_the_oom_killer() -> None:
    """Have the kernel kill the jailed program rather than the daemon when memory runs out."""
    with open("/proc/self/oom_score_adj", "w") as file:  # noqa: PTH123
        file.write(_OOM_SCORE)


def _fail_setup(reason: object) -> NoReturn:
    _give_up(WALL_ERROR, f"the sandbox could not be set up: {reason}")


def _give_up(status: int, message: str) -> NoReturn:
    os.write(2, f"analystd: {message}\n".encode("utf-8", "replace"))
    os._exit(status)


if __name__ == "__main__":
    main()
