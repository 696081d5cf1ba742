"""`doctor`, `trust`."""

from __future__ import annotations

import importlib.util
import os
import platform
import sys
from pathlib import Path
from typing import Any

from analystd import __version__
from analystd import trust as trust_store
from analystd.cli import EXIT_DONE, EXIT_FAILED
from analystd.cli.commands import Options
from analystd.cli.render import print_json
from analystd.engine.catalogue import look_at
from analystd.engine.factory import make_engine
from analystd.environment import PREFIX
from analystd.errors import AnalystdError, WorkspaceError
from analystd.jail.sandbox import measure_sandbox
from analystd.jail.workspace import Workspace
from analystd.jail.workspace_place import find_workspace
from analystd.settings import Loaded, Settings, load_settings, log_folder, project_file, shown_value
from analystd.util.small_files import read_small


async def doctor(options: Options) -> int:
    """Check what analystd needs of this machine; the exit status is 1 when something must be done."""
    folder = find_workspace(Path.cwd(), options.workspace)
    loaded = load_settings(os.environ, folder.parent)
    sandbox = await measure_sandbox(loaded.settings.sandbox)
    checks = [
        _check("Python", sys.version_info >= (3, 11), platform.python_version(), "analystd needs Python 3.11 or newer"),
        _check("system", sys.platform == "linux", platform.platform(), "only Linux has the sandbox; see the README"),
        _check(
            "sandbox",
            sandbox.level != "none",
            f"{sandbox.level}: {sandbox.reason}",
            "Python will not run; AGENT_SANDBOX=off allows it without walls",
        ),
        _check(
            "llama.cpp",
            importlib.util.find_spec("llama_cpp") is not None,
            "llama-cpp-python",
            "pip install 'analystd[llama]'",
        ),
        _check(
            "analysis", importlib.util.find_spec("pandas") is not None, "pandas", "pip install 'analystd[analysis]'"
        ),
        _model_check(loaded.settings),
        _workspace_check(folder, loaded.settings),
        _check("settings", not loaded.problems, "no problems", "; ".join(loaded.problems)),
    ]
    if options.json:
        print_json(
            {"version": __version__, "checks": checks, "gaps": list(sandbox.gaps), "sources": dict(loaded.sources)}
        )
    else:
        _print_checks(checks, sandbox.gaps, loaded.sources)
        print(f"log        {log_folder(loaded.settings)}")
    return EXIT_DONE if all(check["ok"] for check in checks) else EXIT_FAILED


async def trust(options: Options) -> int:
    """Believe a project's `.env` as it is now, or no longer; says what that brings into force."""
    folder = Path(os.path.realpath(options.folder))
    path = project_file(folder)
    try:
        if options.revoke:
            return _revoked(options, path, trust_store.distrust(path))
        content = read_small(path)
        # What is shown is what was read, and that very content is believed.
        before, after = load_settings({}, folder), load_settings({}, folder, believed=content)
        trust_store.trust(path, content)
    except OSError as exc:
        raise WorkspaceError(
            f"{path} cannot be trusted: {exc.strerror}", "It is the project's `.env` that is trusted."
        ) from exc
    values = {name: shown_value(after.settings, _field(name)) for name in _fresh(before, after)}
    if options.json:
        names = sorted(values)
        print_json(
            {"file": str(path), "trusted": True, "in_force": names, "values": values, "problems": after.problems}
        )
        return EXIT_DONE
    leads = f" (a link to {os.path.realpath(path)})" if path.is_symlink() else ""
    print(f"{path}{leads} is trusted as it is now. In force through it{':' if values else ': nothing new.'}")
    for name, value in sorted(values.items()):
        print(f"    {name}={value}")
    for problem in after.problems:
        print(f"!!  {problem}")
    print(
        "A daemon that is running takes it up when a window or command comes to the folder, or says what is not in force."
    )
    print(f"`analystd trust --revoke {options.folder}` takes it back.")
    return EXIT_DONE


def _revoked(options: Options, path: Path, was_trusted: bool) -> int:
    if options.json:
        print_json({"file": str(path), "trusted": False, "in_force": []})
    else:
        print(f"{path} is not trusted any more." if was_trusted else f"{path} was not trusted.")
    return EXIT_DONE


def _fresh(before: Loaded, after: Loaded) -> list[str]:
    """The variables that a file brings into force when it is believed, and did not before."""

    def origin(loaded: Loaded, name: str) -> tuple[Any, Any]:
        return loaded.sources.get(name), getattr(loaded.settings, _field(name))

    return [name for name in after.sources if origin(before, name) != origin(after, name)]


def _field(name: str) -> str:
    return name.removeprefix(PREFIX).lower()


def _check(name: str, ok: bool, found: str, advice: str) -> dict[str, Any]:
    return {"name": name, "ok": ok, "found": found, "advice": None if ok else advice}


def _model_check(settings: Settings) -> dict[str, Any]:
    info = make_engine(settings).info()
    problem = info.note
    if problem is None and info.kind == "llama":
        problem = look_at(Path(info.model), settings.context_tokens).problem
    return _check("model", problem is None, info.model, problem or "")


def _workspace_check(folder: Path, settings: Settings) -> dict[str, Any]:
    try:
        stats = Workspace.of_settings(folder, settings).get_resource_stats()
    except (AnalystdError, OSError) as exc:
        return _check("workspace", False, str(exc), "name another with --workspace")
    found = f"{folder} ({stats['workspace_size_gb']:.2f} GB, {stats['ram_free_percent']:.0f} % of RAM free)"
    return _check("workspace", True, found, "")


def _print_checks(checks: list[dict[str, Any]], gaps: tuple[str, ...], sources: Any) -> None:
    for check in checks:
        print(f"{'ok ' if check['ok'] else '!! '} {check['name']:<10} {check['found']}")
        if check["advice"]:
            print(f"               {check['advice']}")
    for gap in gaps:
        print(f"    gap        {gap}")
    for name, source in sources.items():
        print(f"    {name} comes from {source}")
