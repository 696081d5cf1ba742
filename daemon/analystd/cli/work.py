"""`run`, `exec`, `view` and `files`: ask the model, run Python, look at tables, list files."""

from __future__ import annotations

import asyncio
import contextlib
import sys
from collections.abc import Callable
from typing import Any

from analystd.cli.answers import print_answer
from analystd.cli.asking import INTERRUPT_SECONDS, agent_options, ask_model, exit_status, print_summary
from analystd.cli.desk import open_desk, path_at
from analystd.cli.execution import ExecutionPrinter
from analystd.cli.exit_status import EXIT_DONE, EXIT_FAILED, EXIT_REFUSED
from analystd.cli.parser import Options
from analystd.cli.render import ProgressLine, Terminal, print_json
from analystd.cli.stdin import argument_text
from analystd.client import Client, PythonResult, Run
from analystd.client.options import AgentOptions
from analystd.util.inert_text import one_line
from analystd.wire.errors import AnalystdError


async def ask(options: Options) -> int:
    """Ask the model; print its steps to stderr as they come, and the answer to stdout. Ctrl-C cancels the run."""
    given: AgentOptions = {
        **agent_options(options),
        "conversation": options.conversation,
        "priority": _priority(options),
    }
    prompt = argument_text(options.prompt)
    terminal = Terminal()
    async with open_desk(options) as desk:
        result = await ask_model(desk, prompt, terminal, is_quiet=options.json, **given)
    if options.json:
        print_json(result)
    else:
        print_answer(result)
        print_summary(result, terminal)
    return exit_status(result)


async def execute(options: Options) -> int:
    """Run Python; print its output and displays as they come, then the last value, or why it failed. Ctrl-C interrupts it."""
    given = {"session": options.session, "timeout_seconds": options.timeout, "reset": options.reset}
    code = argument_text(options.code)
    async with (
        open_desk(options) as desk,
        desk.start_python(code, **given, priority=_priority(options)) as run,
    ):
        printer = ExecutionPrinter()
        try:
            if not options.json:
                async for event in run.events():
                    printer.event(event)
            result = await run.result()
        except asyncio.CancelledError:
            await _interrupt(run, print_json if options.json else printer.end)
            raise
    if options.json:
        print_json(result)
    else:
        printer.end(result)
    return {"ok": EXIT_DONE, "limit": EXIT_REFUSED}.get(result.status, EXIT_FAILED)


async def view(options: Options) -> int:
    """Look at a table; if that takes long, show the progress on stderr, if it is a terminal. Ctrl-C stops the work."""
    async with open_desk(options) as desk:
        await view_at(desk, options)
    return EXIT_DONE


async def view_at(desk: Client, options: Options) -> None:
    """Print a view of a table of a desk."""
    names = ("offset", "columns", "filter", "sort", "delimiter")
    given = {"n_rows": options.n, **{name: getattr(options, name) for name in names}}
    with ProgressLine(f"Reading {options.path}") as line:
        result = await desk.view_data(path_at(desk, options.path), options.operation, on_progress=line.update, **given)
    if options.json:
        print_json(result)
        return
    print(result.text)
    for warning in result.warnings:
        print(f"warning: {one_line(warning)}", file=sys.stderr)


async def list_files(options: Options) -> int:
    """List a folder of the workspace."""
    async with open_desk(options) as desk:
        path = "." if options.path is None else path_at(desk, options.path)
        result = await desk.list_files(path, recursive=options.recursive)
    if options.json:
        print_json(result)
    else:
        print(result.text)
    return EXIT_DONE


async def _interrupt(run: Run[PythonResult], report: Callable[[PythonResult], None]) -> None:
    """Interrupt code, and report how it ended."""
    with contextlib.suppress(AnalystdError):
        await run.cancel()
        report(await run.result(timeout=INTERRUPT_SECONDS))


def _priority(options: Options) -> Any:
    return "batch" if options.batch else None
