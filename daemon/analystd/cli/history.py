"""`runs`, `show`, `logs`."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

from analystd.cli import EXIT_DONE, EXIT_FAILED
from analystd.cli.commands import Options
from analystd.cli.render import ago, call_text, indented, print_json, table
from analystd.client import connect
from analystd.errors import WorkspaceError
from analystd.protocol import EventKind, RunSummary
from analystd.runids import LOG_NAME
from analystd.settings import load_settings, log_folder


async def runs(options: Options) -> int:
    """List the latest runs, newest first."""
    async with await connect(options.workspace) as client:
        found = await client.list_runs(options.n)
    if options.json:
        print_json({"runs": found})
    elif not found:
        print("No runs yet.")
    else:
        print(table([_run_row(run) for run in found], ["RUN", "KIND", "STATUS", "STARTED", "BY", "SESSION", "TITLE"]))
    return EXIT_DONE


async def show(options: Options) -> int:
    """Show one run from its events."""
    async with await connect(options.workspace) as client:
        about = await client.get_run(options.run_id)
    if options.json:
        print_json(about)
        return EXIT_DONE
    run = about["run"]
    place = f" on {run['session']}" if run["session"] else ""
    print(f"{run['run_id']}  {run['kind']}  {run['status']}  {ago(run['started_at'])}  by {run['client']}{place}")
    for event in about["events"]:
        for line in _event_lines(event):
            print(line)
    return EXIT_DONE


async def logs(options: Options) -> int:
    """Print the log file, or its lines of one run; needs no daemon."""
    folder = log_folder(load_settings(os.environ).settings)
    paths = sorted(folder.glob(f"{LOG_NAME}*"), key=lambda path: path.stat().st_mtime)
    if not paths:
        raise WorkspaceError(f"There is no log in {folder}", "It is written once a daemon has run.")
    found = [line for path in paths for line in _log_lines(path, options.run_id)]
    if options.json:
        print(json.dumps({"log": str(folder / LOG_NAME), "lines": found}, ensure_ascii=False, indent=2))
    else:
        print("\n".join(found))
    return EXIT_DONE if found else EXIT_FAILED


def _run_row(run: RunSummary) -> list[str]:
    who, where = run["client"] or "", run["session"] or ""
    return [run["run_id"], run["kind"], run["status"], ago(run["started_at"]), who, where, run["title"][:60]]


def _log_lines(path: Path, run_id: str | None) -> list[str]:
    lines = path.read_text("utf-8", "replace").splitlines()
    return lines if run_id is None else [line for line in lines if run_id in line]


def _event_lines(event: dict[str, Any]) -> list[str]:
    kind = event["kind"]
    if kind == EventKind.RUN_QUEUED:
        asked = event.get("prompt") or event.get("code") or event.get("path") or event["title"]
        return [f"? {indented(asked)}"]
    if kind == EventKind.TOOL_CALL:
        return [f"→ {call_text(event['tool'], event['arguments'])}"]
    if kind == EventKind.TOOL_RESULT:
        return [f"{'←' if event['ok'] else '✗'} {indented(event['text'])}"]
    if kind == EventKind.OUTPUT:
        return [f"  {indented(event['text'])}"]
    if kind == EventKind.DISPLAY:
        return [f"  [display: {', '.join(sorted(event['data']))}]"]
    if kind == EventKind.RUN_FINISHED:
        return _ending_lines(event)
    return []


def _ending_lines(event: dict[str, Any]) -> list[str]:
    result = event.get("result") or {}
    lines = []
    if error := event.get("error") or result.get("error"):
        lines.append(f"! {error.get('name', error.get('kind'))}: {error['message']}")
    if text := result.get("answer") or result.get("result") or result.get("text"):
        lines.append(f"= {indented(text)}")
    ender = event.get("cancelled_by")
    by = f" by {ender['client']}" if ender else ""
    return [*lines, f"{event['status']}{by} at {ago(event['at'])}"]
