"""Measure which sandbox level this machine supports, and start workers in it."""

from __future__ import annotations

import asyncio
import functools
import json
import logging
import os
import shutil
import stat
import sys
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Literal

from analystd.config.folders import state_folder, user_settings_file
from analystd.jail import launcher, self_test
from analystd.jail.allowed_paths import DEVICES, KERNEL, SYSTEM, gpu_devices, gpu_facts
from analystd.jail.bound_file import BoundFile
from analystd.jail.forbidden import laid_out
from analystd.jail.interpreters import Interpreter, other_interpreter, own_interpreter
from analystd.wire.errors import SessionUnavailableError

logger = logging.getLogger(__name__)

Level = Literal["full", "partial", "none"]

Namespaces = Literal["own", "bwrap"]
"""What creates the namespaces of level `full`: the launcher, or an installed `bwrap` where the system permits them only to that."""

LEVELS: tuple[Level, ...] = ("full", "partial")
"""The levels with a sandbox, the stronger one first."""

_SELF_TEST_SECONDS = 20.0
_TERMINAL = ("/dev/tty",)
_PATH = ("/usr/local/sbin", "/usr/local/bin", "/usr/sbin", "/usr/bin", "/sbin", "/bin")
_BWRAP_FOLDERS = ("/usr/local/bin", "/usr/bin", "/bin", "/run/wrappers/bin", "/run/current-system/sw/bin")
_PASSED_ON = (
    "LANG",
    "LANGUAGE",
    "TZ",
    "USER",
    "LOGNAME",
    "PYTHONHASHSEED",
    "PYTHONUTF8",
    "OMP_NUM_THREADS",
    "OPENBLAS_NUM_THREADS",
    "OPENBLAS_CORETYPE",
    "MKL_NUM_THREADS",
    "BLIS_NUM_THREADS",
    "NUMEXPR_MAX_THREADS",
    "NUMEXPR_NUM_THREADS",
    "POLARS_MAX_THREADS",
    "RAYON_NUM_THREADS",
    "TBB_NUM_THREADS",
    "VECLIB_MAXIMUM_THREADS",
    "CUDA_VISIBLE_DEVICES",
    "ROCR_VISIBLE_DEVICES",
)
_HOW_TO_SWITCH_OFF = "Set AGENT_SANDBOX=off to run without a sandbox, at your own risk"


@dataclass(frozen=True)
class Policy:
    """What one worker may access. The operating system's kernel refuses everything else."""

    workspace: Path
    """Readable and writable; the worker's HOME, TMPDIR and current folder."""
    runtime: Path
    """The worker's private folder (sockets, caches); readable and writable."""
    read_only: tuple[Path, ...] = ()
    """Further readable folders."""
    interpreter: Path | None = None
    """The Python that the worker runs, if it is not this one; it and its `sys.path` are readable."""
    hidden: tuple[Path, ...] = ()
    """Folders inside the readable ones that are not accessible, besides analystd's own state and settings."""
    sealed: tuple[Path, ...] = ()
    """Paths (without links) in those two folders that must not be changed; without effect at level `partial`.

    A path that no longer exists when the worker starts, or that is a link by then, is skipped.
    """
    pinned: tuple[Path, ...] = ()
    """Folders on the way to sealed paths that must not be renamed, so that the seals stay in place; the outermost first."""
    gpu: bool = False
    """Whether the worker may use this machine's GPUs."""
    files: tuple[BoundFile, ...] = ()
    """Single readable files, without the other files in their folders."""


@dataclass(frozen=True)
class Sandbox:
    """The sandbox level measured on this machine, the reason for it, and the known gaps."""

    level: Level
    reason: str
    gaps: tuple[str, ...] = ()
    switched_off: bool = False
    """Whether the user disabled the sandbox, so that level `none` does not refuse to run."""
    namespaces: Namespaces = "own"
    walls: Mapping[str, self_test.State] = field(default_factory=lambda: self_test.states({}), compare=False)
    """The outcome of the self-test for each wall of `self_test.TABLE`."""

    def command(self, argv: Sequence[str], policy: Policy) -> list[str]:
        """Return the command line that runs `argv` in a sandbox with this policy.

        Raises:
            SessionUnavailableError: at level `none`, unless the user disabled the sandbox.
        """
        if self.level != "none":
            return [sys.executable, "-I", "-S", launcher.__file__, *_walls(self, policy), "--", *argv]
        if self.switched_off:
            return list(argv)
        raise SessionUnavailableError(f"No sandbox is available to run Python in: {self.reason}", _HOW_TO_SWITCH_OFF)

    def environment(self, policy: Policy) -> dict[str, str]:
        """Return a worker's environment: only the variables that it needs (PATH, locale, HOME, TMPDIR, IPYTHONDIR, MPLCONFIGDIR)."""
        interpreter = self.interpreter(policy.interpreter)
        workspace, runtime = str(policy.workspace), policy.runtime
        passed_on = {name: value for name, value in os.environ.items() if name in _PASSED_ON or name.startswith("LC_")}
        # Packages in the workspace's ~/.local would otherwise be imported at every start.
        user_site = (
            {"PYTHONUSERBASE": str(interpreter.user_base)} if interpreter.user_base else {"PYTHONNOUSERSITE": "1"}
        )
        return {
            **passed_on,
            **user_site,
            "PATH": os.pathsep.join([str(interpreter.program.parent), *_PATH]),
            "HOME": workspace,
            "TMPDIR": workspace,
            "PWD": workspace,
            "IPYTHONDIR": str(runtime / "ipython"),
            "JUPYTER_CONFIG_DIR": str(runtime / "jupyter"),
            "JUPYTER_DATA_DIR": str(runtime / "jupyter"),
            "JUPYTER_RUNTIME_DIR": str(runtime),
            "MPLCONFIGDIR": str(runtime / "matplotlib"),
            "XDG_CACHE_HOME": str(runtime / "cache"),
            "XDG_CONFIG_HOME": str(runtime / "config"),
        }

    def interpreter(self, program: Path | None) -> Interpreter:
        """Return what an interpreter (None: this one) needs. It is queried once; another than ours inside this sandbox."""
        if program is None or program == Path(sys.executable):
            return _own_interpreter()
        key = (self.level, self.namespaces, program)
        if key not in _INTERPRETERS:
            _INTERPRETERS[key] = _other_interpreter(self, program)
        return _INTERPRETERS[key]


@functools.cache
def _own_interpreter() -> Interpreter:
    return own_interpreter()


_INTERPRETERS: dict[tuple[Level, Namespaces, Path], Interpreter] = {}
"""The answers of interpreters, by sandbox and program."""


def _other_interpreter(sandbox: Sandbox, program: Path) -> Interpreter:
    with tempfile.TemporaryDirectory(prefix="analystd-") as base:
        for name in ("workspace", "runtime"):
            Path(base, name).mkdir()

        def ask(argv: Sequence[str], surroundings: Sequence[Path]) -> tuple[list[str], Mapping[str, str]]:
            policy = Policy(Path(base, "workspace"), Path(base, "runtime"), tuple(surroundings))
            # The interpreter derives the folder of the user's packages from HOME; inside, only the name of the home folder is known.
            return sandbox.command(argv, policy), {**sandbox.environment(policy), "HOME": str(Path.home())}

        return other_interpreter(program, ask)


async def measure_sandbox(setting: Literal["auto", "off"]) -> Sandbox:
    """Run the self-test in a child process and return the strongest sandbox that holds on this machine."""
    if setting == "off":
        return Sandbox("none", "AGENT_SANDBOX=off", (self_test.NO_WALLS,), switched_off=True)
    if not sys.platform.startswith("linux"):
        return Sandbox("none", f"the sandbox needs Linux; this is {sys.platform}", (self_test.NO_WALLS,))
    refused: list[str] = []
    for level, namespaces in _candidates():
        sandbox = await measure_level(level, namespaces)
        if sandbox.level == level:
            return replace(sandbox, reason="; ".join([*refused, sandbox.reason]))
        refused.append(sandbox.reason)
    return Sandbox("none", "; ".join(refused), (self_test.NO_WALLS,))


async def measure_level(level: Level, namespaces: Namespaces = "own") -> Sandbox:
    """Return the sandbox of a level if all its required walls hold on this machine, else one of level `none` with the reason."""
    what = f"{level} sandbox through bwrap" if namespaces == "bwrap" else f"{level} sandbox"
    if namespaces == "bwrap" and not find_bwrap():
        return Sandbox("none", f"no {what}: bwrap is not installed, or only as a setuid program", (self_test.NO_WALLS,))
    with laid_out() as bait:
        policy = Policy(
            bait.workspace,
            bait.runtime,
            read_only=(Path(self_test.__file__), bait.readable),
            hidden=(bait.settings,),
            sealed=(Path(bait.things["sealed"]),),
            files=(BoundFile.at(bait.bound),),
        )
        candidate = Sandbox(level, "", namespaces=namespaces)
        command = candidate.command([sys.executable, "-I", "-S", self_test.__file__, json.dumps(bait.things)], policy)
        try:
            passed = await _answer(command, candidate.environment(policy), policy.workspace)
        except (OSError, ValueError, TimeoutError) as exc:
            return Sandbox("none", f"no {what}: {exc}", (self_test.NO_WALLS,))
    if broken := self_test.broken_walls(passed):
        return Sandbox("none", f"no {what}: {'; '.join(broken)}", (self_test.NO_WALLS,))
    maker = ", in namespaces that bwrap made" if namespaces == "bwrap" else ""
    reason = f"every wall of level {level} held in the self-test{maker}"
    return Sandbox(level, reason, self_test.gaps(passed), namespaces=namespaces, walls=self_test.states(passed))


def find_bwrap(folders: Sequence[str] = _BWRAP_FOLDERS) -> str | None:
    """Return the path of the system's `bwrap`; one elsewhere on the user's PATH is not trusted.

    A setuid `bwrap` is ignored: as another user's process it does not end with the launcher that started it.
    """
    program = shutil.which("bwrap", path=os.pathsep.join(folders))
    return program if program is not None and not Path(program).stat().st_mode & stat.S_ISUID else None


def _candidates() -> list[tuple[Level, Namespaces]]:
    """Return the levels to try, the strongest first."""
    through_bwrap: list[tuple[Level, Namespaces]] = [("full", "bwrap")] if find_bwrap() else []
    return [("full", "own"), *through_bwrap, ("partial", "own")]


def _walls(sandbox: Sandbox, policy: Policy) -> list[str]:
    """Return the arguments that `launcher.LaunchOptions` parses."""
    imports = (*sandbox.interpreter(policy.interpreter).paths, *sandbox.interpreter(None).paths)
    gpu = (gpu_facts(), gpu_devices()) if policy.gpu else ((), ())
    return [
        f"level={sandbox.level}",
        *([f"bwrap={find_bwrap()}"] if sandbox.namespaces == "bwrap" else []),
        f"workspace={policy.workspace}",
        f"runtime={policy.runtime}",
        *(f"read={path}" for path in dict.fromkeys([*SYSTEM, *KERNEL, *imports, *gpu[0], *policy.read_only])),
        *(f"device={path}" for path in (*DEVICES, *(_TERMINAL if sandbox.level == "full" else ()), *gpu[1])),
        *(file.word for file in policy.files),
        *(f"hide={path}" for path in (state_folder(), user_settings_file().parent, *policy.hidden)),
        *(f"pin={path}" for path in policy.pinned),
        *(f"seal={path}" for path in policy.sealed),
        *(["threads=named"] if gpu[1] else []),
    ]


async def _answer(command: Sequence[str], environment: Mapping[str, str], cwd: Path) -> dict[str, bool]:
    """Run the self-test and return what it printed.

    Raises:
        OSError: with the last line of its error output, when it fails.
        TimeoutError: when it takes too long.
        ValueError: when it printed no JSON.
    """
    process = await asyncio.create_subprocess_exec(
        *command,
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
        env=dict(environment),
        cwd=cwd,
        start_new_session=True,
    )
    try:
        output, errors = await asyncio.wait_for(process.communicate(), _SELF_TEST_SECONDS)
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    if process.returncode:
        lines = errors.decode("utf-8", "replace").strip().splitlines() or [f"exit status {process.returncode}"]
        raise OSError(lines[-1])
    answer: dict[str, bool] = json.loads(output)
    return answer
