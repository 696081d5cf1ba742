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
from analystd.errors import AnalystdError, WorkspaceError
from analystd.jail.sandbox import measure_sandbox
from analystd.jail.workspace import Workspace, find_workspace
from analystd.settings import Settings, load_settings, log_folder, project_file
from analystd.util.inert_samples import SAMPLES, failures


async def doctor(options: Options) -> int:
    """Check what analystd needs of this machine; the exit status is 1 when something must be done."""
    folder = find_workspace(Path.cwd(), options.workspace or os.environ.get("AGENT_WORKSPACE"))
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
        _text_check(),
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
    path = project_file(Path(options.folder))
    before = load_settings({}, Path(options.folder))
    try:
        if not options.revoke:
            trust_store.trust(path)
        revoked = options.revoke and trust_store.distrust(path)
    except OSError as exc:
        raise WorkspaceError(
            f"{path} cannot be trusted: {exc.strerror}", "It is the project's `.env` that is trusted."
        ) from exc
    after = load_settings({}, Path(options.folder))
    fresh = {
        name: source for name, source in after.sources.items() if source == str(path) and name not in before.sources
    }
    if options.json:
        print_json({"file": str(path), "trusted": not options.revoke, "in_force": sorted(fresh)})
    elif options.revoke:
        print(f"{path} is not trusted any more." if revoked else f"{path} was not trusted.")
    else:
        print(f"{path} is trusted as it is now. In force through it: {', '.join(sorted(fresh)) or 'nothing new'}.")
        print("A daemon that is running takes it up for folders that it has not opened yet; `analystd stop` ends it.")
    return EXIT_DONE


def _check(name: str, ok: bool, found: str, advice: str) -> dict[str, Any]:
    return {"name": name, "ok": ok, "found": found, "advice": None if ok else advice}


def _text_check() -> dict[str, Any]:
    """Whether foreign text is made inert before it is shown."""
    failed = failures()
    found = f"{len(SAMPLES) - len(failed)} of {len(SAMPLES)} hostile samples are shown inert"
    return _check("text", not failed, found, f"not so: {', '.join(failed)}; please report it")


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
