"""`run`, `exec`, `view`, `files`."""

from __future__ import annotations

import sys
from typing import Any

from analystd.cli import EXIT_DONE, EXIT_FAILED, EXIT_REFUSED
from analystd.cli.commands import Options
from analystd.cli.render import ProgressLine, Terminal, print_json
from analystd.client import AgentResult, Event, PythonResult, connect
from analystd.protocol import EventKind


async def ask(options: Options) -> int:
    """Ask the model: the trail goes to stderr as it happens, the answer to stdout. Ctrl-C cancels the run."""
    names = ("conversation", "session", "max_steps", "max_seconds")
    given = {**{name: getattr(options, name) for name in names}, "priority": _priority(options)}
    async with connect(options.workspace) as desk, desk.start_agent(_text(options.prompt), **given) as run:
        if not options.json:
            terminal = Terminal()
            async for event in run.events():
                terminal.event(event)
        result = await run.result()
    if options.json:
        print_json(result)
    else:
        print(result.answer)
        _print_unsupported(result)
        _print_cost(result)
    return {"done": EXIT_DONE, "limit": EXIT_REFUSED}.get(result.status, EXIT_FAILED)


async def execute(options: Options) -> int:
    """Run Python: its streams as they come, then the last value or the traceback. Ctrl-C interrupts it."""
    given = {"session": options.session, "timeout_seconds": options.timeout, "reset": options.reset}
    async with (
        connect(options.workspace) as desk,
        desk.start_python(_text(options.code), **given, priority=_priority(options)) as run,
    ):
        if not options.json:
            async for event in run.events():
                _print_output(event)
        result = await run.result()
    if options.json:
        print_json(result)
    else:
        _print_execution(result)
    return {"ok": EXIT_DONE, "limit": EXIT_REFUSED}.get(result.status, EXIT_FAILED)


async def view(options: Options) -> int:
    """Look at a table; where that takes long, stderr tells how far it is, if it is a terminal. Ctrl-C stops the work."""
    names = ("offset", "columns", "filter", "sort", "delimiter")
    given = {"n_rows": options.n, **{name: getattr(options, name) for name in names}}
    async with connect(options.workspace) as desk:
        with ProgressLine(f"Reading {options.path}") as line:
            result = await desk.view_data(options.path, options.operation, on_progress=line.tell, **given)
    if options.json:
        print_json(result)
        return EXIT_DONE
    print(result.text)
    for warning in result.warnings:
        print(f"warning: {warning}", file=sys.stderr)
    return EXIT_DONE


async def list_files(options: Options) -> int:
    """List a folder of the workspace."""
    async with connect(options.workspace) as desk:
        result = await desk.list_files(options.path, recursive=options.recursive)
    if options.json:
        print_json(result)
    else:
        print(result.text)
    return EXIT_DONE


def _print_output(event: Event) -> None:
    if event.kind == EventKind.OUTPUT:
        print(event.text, end="", file=sys.stderr if event.stream == "stderr" else sys.stdout, flush=True)


def _print_execution(result: PythonResult) -> None:
    if result.result is not None:
        print(result.result)
    for display in result.displays:
        print(f"[display: {', '.join(sorted(display))}]", file=sys.stderr)
    if result.error is not None:
        print("\n".join(result.error.traceback), file=sys.stderr)
    elif result.status != "ok":
        print(f"[the code ended with status {result.status}; {result.run_id}]", file=sys.stderr)


def _print_unsupported(result: AgentResult) -> None:
    if numbers := ", ".join(each.text for each in result.unsupported):
        print(f"[in no output of this conversation: {numbers}; check before you use it]", file=sys.stderr)


def _print_cost(result: AgentResult) -> None:
    usage = result.usage
    tokens = f"{usage.prompt_tokens} prompt tokens ({usage.cached_tokens} cached), {usage.completion_tokens} generated"
    steps = len(result.steps)
    print(f"{result.run_id}: {result.status}, {steps} calls, {tokens}, {usage.seconds:.1f} s", file=sys.stderr)


def _priority(options: Options) -> Any:
    return "batch" if options.batch else None


def _text(argument: str) -> str:
    return sys.stdin.read() if argument == "-" else argument
