"""`runs`, `show`, `cancel` and `logs`: list runs, show one, cancel one, print the log."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from pathlib import Path

from analystd.cli.answers import doubts
from analystd.cli.desk import open_desk
from analystd.cli.displays import save_displays
from analystd.cli.execution import is_displayed
from analystd.cli.exit_status import EXIT_DONE, EXIT_FAILED
from analystd.cli.parser import Options
from analystd.cli.render import NOTICE_KINDS, ago, call_text, display_lines, indented, output_text, print_json, table
from analystd.client import Event, RunRecord, RunSummary
from analystd.config.settings import default_log_folder, load_settings, log_folder
from analystd.util.logging_setup import CONTINUATION, LOG_NAME
from analystd.wire.errors import WorkspaceError
from analystd.wire.names import EventKind


async def runs(options: Options) -> int:
    """List the latest runs, newest first."""
    async with open_desk(options) as desk:
        found = await desk.list_runs(options.n)
    if options.json:
        print_json({"runs": found})
    else:
        print_runs(found)
    return EXIT_DONE


def print_runs(found: Sequence[RunSummary]) -> None:
    """Print runs as a table."""
    if not found:
        print("No runs yet.")
    else:
        print(table([_run_row(run) for run in found], ["RUN", "KIND", "STATUS", "STARTED", "BY", "SESSION", "TITLE"]))


async def show(options: Options) -> int:
    """Show one run from its events so far; with `--follow` print events until it ends."""
    async with open_desk(options) as desk:
        if options.follow and (options.json or options.save is not None):
            await desk.run(options.run_id).ended()
        about = await desk.get_run(options.run_id)
        if options.save is not None:
            return _save(about, Path(options.save), as_json=options.json)
        if options.json:
            print_json(about)
            return EXIT_DONE
        print(_head_line(about.run))
        printer = _EventPrinter()
        for event in about.events:
            printer.print(event)
        if options.follow and not about.run.is_over:
            async for event in desk.run(options.run_id).events(after=about.events[-1].seq):
                printer.print(event)
    return EXIT_DONE


async def cancel(options: Options) -> int:
    """Cancel a run of any client and wait for its end; the exit status is 1 when it had ended already."""
    async with open_desk(options) as desk:
        run = desk.run(options.run_id)
        answer = await run.cancel()
        status = (await run.ended()).status
    if options.json:
        print_json({"run_id": run.id, "status": status})
    else:
        print(f"{run.id}: {status}")
    return EXIT_DONE if answer == "cancelling" else EXIT_FAILED


async def logs(options: Options) -> int:
    """Print the log, or its lines on one run. This needs no daemon."""
    folder = log_folder(load_settings(os.environ).settings)
    # The daemon uses the second folder when it cannot write to the first.
    folders = dict.fromkeys((folder, default_log_folder()))
    found_in = {
        path: path.stat().st_mtime for place in folders for path in place.glob(f"{LOG_NAME}*") if path.is_file()
    }
    paths = sorted(found_in, key=lambda path: found_in[path])
    if not paths:
        raise WorkspaceError(f"There is no log in {folder}", "The daemon writes it; the first command starts one.")
    found = [line for path in paths for line in _log_lines(path, options.run_id)]
    if options.json:
        print_json({"log": str(folder / LOG_NAME), "lines": found})
    else:
        print("\n".join(found))
    return EXIT_DONE if found else EXIT_FAILED


def _save(about: RunRecord, folder: Path, *, as_json: bool) -> int:
    bundles = [event.data for event in about.events if event.kind == EventKind.DISPLAY]
    paths = [str(path) for path in save_displays(bundles, about.run.run_id, folder)]
    if as_json:
        print_json({"run_id": about.run.run_id, "saved": paths})
    else:
        print("\n".join(paths) if paths else f"{about.run.run_id} has no displays that can be saved.")
    return EXIT_DONE if paths else EXIT_FAILED


def _run_row(run: RunSummary) -> list[str]:
    return [
        run.run_id,
        run.kind,
        run.status,
        ago(run.started_at),
        run.client or "",
        run.session or "",
        run.title[:60],
    ]


def _head_line(run: RunSummary) -> str:
    place = f" on {run.session}" if run.session else ""
    return f"{run.run_id}  {run.kind}  {run.status}  {ago(run.started_at)}  by {run.client}{place}"


def _log_lines(path: Path, run_id: str | None) -> Iterator[str]:
    """Yield the lines of a log file; for one run, the records that name it, with their tracebacks."""
    record: list[str] = []
    for line in path.read_text("utf-8", "replace").split("\n"):
        if not line.startswith(CONTINUATION):
            yield from _if_named(record, run_id)
            record = []
        record.append(line)
    yield from _if_named(record, run_id)


def _if_named(record: list[str], run_id: str | None) -> list[str]:
    return record if any(record) and (run_id is None or any(run_id in line for line in record)) else []


class _EventPrinter:
    """Prints the events of a run one by one."""

    def __init__(self) -> None:
        self._printed_notices: set[str] = set()

    def print(self, event: Event) -> None:
        """Print an event, if it is of a kind that people want to see."""
        if event.kind in NOTICE_KINDS:
            self._printed_notices.add(event.text)
        for line in _event_lines(event, self._printed_notices):
            print(line, flush=True)


def _event_lines(event: Event, printed_notices: set[str]) -> list[str]:
    kind = event["kind"]
    if kind == EventKind.RUN_QUEUED:
        subject = event.get("prompt") or event.get("code") or event.get("path") or event["title"]
        return [f"? {indented(subject)}"]
    if kind == EventKind.TOOL_CALL:
        return [f"→ {call_text(event['tool'], event['arguments'])}"]
    if kind == EventKind.TOOL_RESULT:
        return [f"{'←' if event['ok'] else '✗'} {indented(event['text'])}"]
    if kind == EventKind.OUTPUT:
        return [f"  {indented(output_text(event['text']))}"]
    if kind == EventKind.DISPLAY:
        return display_lines(event)
    if kind in NOTICE_KINDS:
        return [f"! {event['text']}"]
    if kind == EventKind.RUN_FINISHED:
        return _ending_lines(event, printed_notices)
    return []


def _ending_lines(event: Event, printed_notices: set[str]) -> list[str]:
    result = event.get("result") or {}
    lines = []
    if (error := event.get("error") or result.get("error")) and error["message"] not in printed_notices:
        lines.append(f"! {error.get('name', error.get('kind'))}: {error['message']}")
    if (text := result.get("answer") or result.get("result") or result.get("text")) and not is_displayed(result):
        lines.append(f"= {indented(text)}")
        lines += doubts(result)
    canceller = event.get("cancelled_by")
    by = f" by {canceller['client']}" if canceller else ""
    return [*lines, f"{event['status']}{by} at {ago(event['at'])}"]
