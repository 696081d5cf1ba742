"""What a jailed process may reach besides its own folders: system libraries, the interpreter, harmless devices."""

from __future__ import annotations

import functools
import json
import logging
import os
import subprocess
import sys
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from analystd.folders import state_folder

logger = logging.getLogger(__name__)

DEVICES = ("/dev/null", "/dev/zero", "/dev/full", "/dev/random", "/dev/urandom")

SYSTEM = (
    "/usr",
    "/bin",
    "/sbin",
    "/lib",
    "/lib32",
    "/lib64",
    "/nix/store",
    "/run/current-system/sw",
    "/etc/alternatives",
    "/etc/ca-certificates",
    "/etc/fonts",
    "/etc/group",
    "/etc/hosts",
    "/etc/ld.so.cache",
    "/etc/ld.so.conf",
    "/etc/ld.so.conf.d",
    "/etc/localtime",
    "/etc/magic",
    "/etc/mime.types",
    "/etc/nsswitch.conf",
    "/etc/os-release",
    "/etc/passwd",
    "/etc/pki/tls/certs",
    "/etc/protocols",
    "/etc/services",
    "/etc/ssl/certs",
    "/etc/ssl/openssl.cnf",
    "/etc/terminfo",
    "/etc/timezone",
    "/var/cache/fontconfig",
)
"""Libraries, programs and the few files of /etc that they read; none of them tells a secret."""

KERNEL = (
    "/sys/devices/system/cpu",
    "/sys/devices/system/node",
    "/sys/fs/cgroup",
    "/sys/kernel/mm/transparent_hugepage",
)
"""What libraries ask about the machine: joblib raises and DuckDB aborts when they cannot see their control group."""

_GPU_DEVICES = ("nvidia[0-9]*", "nvidiactl", "nvidia-uvm*", "nvidia-modeset", "nvidia-caps/*", "dri/*", "kfd")
_GPU_FACTS = ("/sys/class/drm", "/sys/class/kfd", "/sys/bus/pci", "/sys/devices/pci*", "/sys/devices/virtual/kfd")

_ASK_SECONDS = 20
_ASK = """
import json, site, sys
own = site.getusersitepackages() in sys.path
print(json.dumps([site.getuserbase() if own else None, sys.prefix, sys.base_prefix, sys.exec_prefix, *sys.path]))
"""


@dataclass(frozen=True)
class Interpreter:
    """What one Python needs for its start and its imports."""

    program: Path
    paths: tuple[Path, ...]
    """Its executable, its installation and the folders of its `sys.path`."""
    user_base: Path | None
    """Where `pip install --user` puts packages, if this interpreter looks there."""


def gpu_devices() -> tuple[Path, ...]:
    """The device nodes of this machine's GPUs, for a policy whose worker computes on them."""
    return tuple(sorted(path for pattern in _GPU_DEVICES for path in Path("/dev").glob(pattern)))


def gpu_facts() -> tuple[Path, ...]:
    """The folders that GPU libraries read before they open a device."""
    return tuple(path for pattern in _GPU_FACTS for path in Path("/").glob(pattern.lstrip("/")))


@functools.cache
def interpreter_reach(program: Path | None = None) -> Interpreter:
    """What the interpreter `program` (None: this one) needs; it is asked once.

    This one is asked too, as our own `sys.path` begins with the folder of whatever script we run. A folder around the user's home or
    around our own state is left out: reading code is no reason to read those.
    """
    program = program or Path(sys.executable)
    user, *folders = _asked(program)
    return Interpreter(
        program, tuple(dict.fromkeys([*_links_of(program), *_useful(folders)])), Path(user) if user else None
    )


def _asked(program: Path) -> list[str]:
    try:
        answer = subprocess.run(
            [program, "-E", "-c", _ASK], capture_output=True, timeout=_ASK_SECONDS, check=True, cwd="/"
        )
        return list(json.loads(answer.stdout))
    except (OSError, subprocess.SubprocessError, ValueError) as exc:
        logger.warning("%s does not tell its folders: %s", program, exc)
        return ["", str(program.parent.parent)]


def _links_of(program: Path) -> Iterator[Path]:
    """A program and the links that lead to it, each of which is read on the way to the next."""
    seen: set[Path] = set()
    while program not in seen:
        seen.add(program)
        yield program
        if program.is_symlink():
            program = Path(os.path.normpath(program.parent / program.readlink()))


def _useful(folders: Iterable[str]) -> Iterator[Path]:
    home, state = Path(os.path.realpath(Path.home())), Path(os.path.realpath(state_folder()))
    for folder in folders:
        if not Path(folder).is_absolute() or not Path(folder).exists():
            continue
        real = Path(os.path.realpath(folder))
        if home.is_relative_to(real) or state.is_relative_to(real):
            logger.warning("%s is on the interpreter's path but stays closed to sessions: your home is in it", folder)
            continue
        yield Path(folder)
