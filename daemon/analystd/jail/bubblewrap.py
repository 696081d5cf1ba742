"""Build the jail's namespaces with `bwrap` (bubblewrap), where the system grants namespaces to that program but not to us.

Ubuntu 24.04 and later refuse them to all programs that have no AppArmor profile of their own; `bwrap` has one. It makes the namespaces and
carries out the plan of `namespaces`, except for the seals: `bwrap` would follow a link that was swapped in meanwhile, so the launcher applies
the seals afterwards. The launcher itself applies Landlock and seccomp inside. Imported by the launcher: standard library only.
"""

from __future__ import annotations

from analystd.jail.namespaces import DEVICE, LINK, MEMORY, PIN, PROCESSES, READ, SEAL, SHUT, TERMINALS, WRITE

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable

    from analystd.jail.namespaces import Step

_NAMESPACES = ("--unshare-user", "--unshare-pid", "--unshare-net", "--unshare-ipc")
_BINDS = {READ: "--ro-bind", WRITE: "--bind", DEVICE: "--dev-bind"}
_READ_ONLY_AT_LAST = ("/dev", "/")


def arguments(steps: Iterable[Step], cwd: str) -> list[str]:
    """Return the arguments of `bwrap` before the program, which becomes the first process of the new namespaces and starts in `cwd`."""
    return [
        *_NAMESPACES,
        "--as-pid-1",
        *("--cap-drop", "ALL"),
        *(word for step in steps if step[0] not in (SEAL, PIN) for word in _words(*step)),
        *(word for path in _READ_ONLY_AT_LAST for word in ("--remount-ro", path)),
        *("--chdir", cwd),
        "--",
    ]


def _words(kind: str, path: str, detail: str) -> list[str]:
    """Return the arguments for one step of a plan."""
    if kind == LINK:
        return ["--symlink", detail, path]
    if kind == MEMORY:
        options = dict(option.split("=") for option in detail.split(","))
        size = ["--size", options["size"]] if "size" in options else []
        return ["--perms", options["mode"], *size, "--tmpfs", path]
    if kind == TERMINALS:
        return ["--dev", path]
    if kind == PROCESSES:
        return ["--proc", path]
    if kind == SHUT:
        return [_BINDS[READ], "/dev/null", path]
    return [_BINDS[kind], path, path]
