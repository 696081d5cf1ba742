"""`doctor` and `trust`: check this machine and the settings, and trust a project's files."""

from __future__ import annotations

import contextlib
import errno
import importlib.util
import os
import platform
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from analystd import __version__
from analystd.agent.function_hints import functions_in
from analystd.cli.engine_checks import library_in_use, try_library
from analystd.cli.exit_status import EXIT_DONE, EXIT_FAILED
from analystd.cli.parser import Options
from analystd.cli.render import print_json
from analystd.config import trust as trust_store
from analystd.config.environment import PREFIX
from analystd.config.folders import state_folder
from analystd.config.settings import Loaded, Settings, load_settings, log_folder, project_file, shown_value, variable
from analystd.data.text import scanner
from analystd.desk.project_toolbox import MOST_BYTES
from analystd.desk.project_toolbox import NAME as OWN_TOOLBOX
from analystd.discovery.registry import daemon_address, private_folder, runtime_place
from analystd.engine.factory import make_engine
from analystd.jail import self_test
from analystd.jail.own_group import OwnGroup
from analystd.jail.sandbox import Sandbox, measure_sandbox
from analystd.jail.workspace import Workspace
from analystd.jail.workspace_place import NAME as WORKSPACE
from analystd.jail.workspace_place import made_workspace, workspace_place
from analystd.models.catalog import look_at
from analystd.server.ground import Ground
from analystd.util.inert_samples import SAMPLES, failures
from analystd.util.small_files import SMALL_BYTES, read_small
from analystd.wire.errors import AnalystdError, WorkspaceError


async def doctor(options: Options) -> int:
    """Check what analystd needs of this machine; the exit status is 1 when something must be fixed."""
    folder = Path(os.path.realpath(workspace_place(Path.cwd(), options.workspace)))
    loaded = load_settings(os.environ, folder.parent)
    sandbox = await measure_sandbox(loaded.settings.sandbox)
    checks = [
        _check("Python", sys.version_info >= (3, 11), platform.python_version(), "analystd needs Python 3.11 or newer"),
        _check(
            "system", sys.platform == "linux", platform.platform(), "the sandbox works only on Linux; see the README"
        ),
        _check(
            "sandbox",
            sandbox.level != "none",
            f"{sandbox.level}: {sandbox.reason}",
            "Python code is refused; AGENT_SANDBOX=off lets it run without a sandbox",
        ),
        *await _llama_checks(loaded.settings),
        _check(
            "analysis", importlib.util.find_spec("pandas") is not None, "pandas", "pip install 'analystd[analysis]'"
        ),
        scanner_check(),
        _model_check(loaded.settings),
        _state_check(),
        _workspace_check(folder, loaded.settings, sandbox),
        _text_check(),
        _limits_check(),
        _settings_check(loaded),
    ]
    walls = [
        {"name": name, "title": wall.title, "state": sandbox.walls[name], "breach": wall.breach}
        for name, wall in self_test.TABLE.items()
    ]
    if options.json:
        gaps, sources = list(sandbox.gaps), dict(loaded.sources)
        print_json({"version": __version__, "checks": checks, "walls": walls, "gaps": gaps, "sources": sources})
    else:
        _print_checks(checks, loaded.sources)
        print(f"log        {log_folder(loaded.settings)}")
        _print_walls(walls, sandbox.level)
        _print_summary(checks)
    return EXIT_DONE if all(check["ok"] for check in checks) else EXIT_FAILED


async def trust(options: Options) -> int:
    """Trust a project's `.env`, prompt and toolbox as they are now, or no longer, and print the settings that take effect."""
    folder = Path(os.path.realpath(options.folder))
    path = project_file(folder)
    content: bytes | None = None
    if options.revoke:
        with contextlib.suppress(WorkspaceError):
            content = _content(path)
        with _store_errors():
            were_trusted = [trust_store.distrust(each) for each in (path, _own_toolbox(folder, content))]
            return _revoked(options, path, any(were_trusted))
    content = _content(path)
    toolbox = _own_toolbox(folder, content)
    own = _content(toolbox, MOST_BYTES)
    if content is None and own is None:
        raise WorkspaceError(
            f"{path} cannot be trusted: {os.strerror(errno.ENOENT)}",
            f"Give a project's folder that has a `.env`, or a `{OWN_TOOLBOX}` in its workspace.",
        )
    # Trust exactly the content that was read, and from which the values shown come.
    before, after = load_settings({}, folder), load_settings({}, folder, believed=content or b"")
    prompt = after.settings.prompt_file if after.sources.get(variable("prompt_file")) == str(path) else None
    functions = [each.name for each in functions_in(own.decode("utf-8", "replace"))] if own is not None else []
    with _store_errors():
        if content is not None:
            trust_store.trust(path, content)
        if prompt is not None:
            trust_store.trust(Path(prompt.path), prompt.text.encode())
        if own is not None:
            trust_store.trust(toolbox, own)
    values = {name: shown_value(after.settings, _field(name)) for name in _fresh(before, after)}
    if options.json:
        trusted: dict[str, Any] = {"file": str(path), "trusted": True, "in_force": sorted(values), "values": values}
        trusted |= {"problems": after.problems, "functions": functions}
        print_json(trusted)
        return EXIT_DONE
    if content is not None:
        leads = f" (a link to {os.path.realpath(path)})" if path.is_symlink() else ""
        print(f"{path}{leads} is trusted as it is now. {'It sets:' if values else 'It changes no settings.'}")
    for name, value in sorted(values.items()):
        print(f"    {name}={value}")
    if own is not None:
        listed = ", ".join(functions) or "none, because it has no public function with a docstring"
        print(f"{toolbox} is trusted as it is now. Functions that the agent may suggest to the model: {listed}.")
    for problem in after.problems:
        print(f"!!  {problem}")
    print(
        "A running daemon applies this when a window or command next connects for this folder, and says what it cannot apply."
    )
    print(f"`analystd trust --revoke {options.folder}` undoes this.")
    return EXIT_DONE


def _own_toolbox(project: Path, content: bytes | None) -> Path:
    """Return the path of a project's own toolbox: in its workspace, which the content of its `.env` may name."""
    named = load_settings({}, project, believed=content or b"").settings.workspace
    return (Path(named) if named and Path(named).parent == project else project / WORKSPACE) / OWN_TOOLBOX


def _content(path: Path, most: int = SMALL_BYTES) -> bytes | None:
    """Return the content of a file to trust; None when it does not exist.

    Raises:
        WorkspaceError: when the file cannot be read.
    """
    try:
        return read_small(path, most)
    except (FileNotFoundError, NotADirectoryError):
        return None
    except OSError as exc:
        raise WorkspaceError(f"{path} cannot be trusted: {exc.strerror}") from exc


@contextmanager
def _store_errors() -> Iterator[None]:
    """Raise a `WorkspaceError` when the decision cannot be stored."""
    try:
        yield
    except OSError as exc:
        raise WorkspaceError(
            f"The list of trusted files cannot be written in {state_folder()}: {exc.strerror}",
            "Set XDG_STATE_HOME to a folder that you can write to.",
        ) from exc


def _revoked(options: Options, path: Path, was_trusted: bool) -> int:
    if options.json:
        print_json({"file": str(path), "trusted": False, "in_force": []})
    else:
        print(f"{path} is no longer trusted." if was_trusted else f"{path} was not trusted.")
    return EXIT_DONE


def _fresh(before: Loaded, after: Loaded) -> list[str]:
    """Return the variables that a file sets only once it is trusted."""

    def origin(loaded: Loaded, name: str) -> tuple[Any, Any]:
        return loaded.sources.get(name), getattr(loaded.settings, _field(name))

    return [name for name in after.sources if origin(before, name) != origin(after, name)]


def _field(name: str) -> str:
    return name.removeprefix(PREFIX).lower()


def _check(name: str, ok: bool, found: str, advice: str) -> dict[str, Any]:
    return {"name": name, "ok": ok, "found": found, "advice": None if ok else advice}


def scanner_check() -> dict[str, Any]:
    """Return which scanner reads delimited text. The slower one is not a failure: it gives the same results."""
    slower = (
        "in Python: the same results, many times slower; install analystd where a C compiler is to get the compiled one"
    )
    return _check("scanner", True, "compiled" if scanner.is_compiled else slower, "")


def _text_check() -> dict[str, Any]:
    """Check that text of unknown origin is made inert before it is shown."""
    failed = failures()
    found = f"{len(SAMPLES) - len(failed)} of {len(SAMPLES)} hostile samples are shown inert"
    return _check("text", not failed, found, f"these are not: {', '.join(failed)}; please report this")


async def _llama_checks(settings: Settings) -> list[dict[str, Any]]:
    """Check which library computes local models, and whether it computes correctly."""
    library = library_in_use()
    if library is None:
        return [_check("llama.cpp", False, "not installed", "pip install 'analystd[llama]'")]
    problem, details = await try_library(settings)
    return [_check("llama.cpp", True, library, ""), _check("self-test", problem is None, problem or details, details)]


def _limits_check() -> dict[str, Any]:
    """Check what enforces the limits of sessions, by trying control groups on an idle process."""
    with subprocess.Popen(
        [sys.executable, "-S", "-c", "import sys; sys.stdin.read()"], stdin=subprocess.PIPE
    ) as process:
        group = OwnGroup.around(process.pid, memory_bytes=1 << 30, tasks=64)
        process.communicate()
    controllers = sorted(group.folders)
    group.remove()
    groups = f", and by a control group of each session for {' and '.join(controllers)}" if controllers else ""
    return _check("limits", True, f"enforced by polling{groups}", "")


def _model_check(settings: Settings) -> dict[str, Any]:
    info = make_engine(settings).info()
    problem = info.note
    if problem is None and info.kind == "llama":
        problem = look_at(Path(info.model), settings.context_tokens).problem
    return _check("model", problem is None, info.model, problem or "")


def _settings_check(loaded: Loaded) -> dict[str, Any]:
    count = len(loaded.problems)
    found = f"{count} problem{'s' * (count != 1)}" if count else "no problems"
    return _check("settings", not count, found, "; ".join(loaded.problems))


def _state_check() -> dict[str, Any]:
    try:
        private_folder(state_folder())
    except AnalystdError as exc:
        return _check("state", False, exc.message, exc.hint or "")
    return _check("state", True, str(state_folder()), "")


def _workspace_check(folder: Path, settings: Settings, sandbox: Sandbox) -> dict[str, Any]:
    """Check that a workspace may be there, and that its code could reach no file that is trusted."""
    try:
        root = made_workspace(folder)
        Ground(settings, sandbox, runtime_place(daemon_address())[0]).seals(root, settings, settings, {})
        stats = Workspace.of_settings(root, settings).get_resource_stats()
    except AnalystdError as exc:
        return _check("workspace", False, exc.message, exc.hint or "choose another folder with --workspace")
    except OSError as exc:
        return _check("workspace", False, str(exc), "choose another folder with --workspace")
    found = f"{root} ({stats['workspace_size_gb']:.2f} GB, {stats['ram_free_percent']:.0f} % of RAM free)"
    return _check("workspace", True, found, "")


def _print_summary(checks: list[dict[str, Any]]) -> None:
    """Repeat at the end what must be fixed."""
    for check in checks:
        if not check["ok"]:
            print(f"To fix: {check['name']}: {check['found']}. {check['advice']}")


def _print_checks(checks: list[dict[str, Any]], sources: Mapping[str, str]) -> None:
    for check in checks:
        print(f"{'ok ' if check['ok'] else '!! '} {check['name']:<10} {check['found']}")
        if check["advice"]:
            print(f"               {check['advice']}")
    for name, source in sources.items():
        print(f"    {name} comes from {source}")


def _print_walls(walls: list[dict[str, str]], level: str) -> None:
    """List the walls of the sandbox, and whether each held in the self-test at this machine's level."""
    print(f"\nWalls of the sandbox at level {level}, as the self-test found them:")
    for wall in walls:
        print(f"    {wall['state']:<9} {wall['title']}")
        if wall["state"] != "held":
            print(f"              {wall['breach']}")
