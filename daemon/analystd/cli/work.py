"""`run`, `exec`, `view`, `files`."""

from __future__ import annotations

import asyncio
import contextlib
import sys
from collections.abc import Callable
from typing import Any

from analystd.cli.answers import print_answer
from analystd.cli.asking import INTERRUPT_SECONDS, agent_options, exit_status, put_question, tell_about
from analystd.cli.desk import open_desk, path_at
from analystd.cli.execution import ExecutionPrinter
from analystd.cli.exit_status import EXIT_DONE, EXIT_FAILED, EXIT_REFUSED
from analystd.cli.parser import Options
from analystd.cli.render import ProgressLine, Terminal, print_json
from analystd.cli.stdin import text_given
from analystd.client import Client, PythonResult, Run
from analystd.client.options import AgentOptions
from analystd.util.inert_text import one_line
from analystd.wire.errors import AnalystdError


async def ask(options: Options) -> int:
    """Ask the model: the trail goes to stderr as it happens, the answer to stdout. Ctrl-C cancels the run."""
    given: AgentOptions = {
        **agent_options(options),
        "conversation": options.conversation,
        "priority": _priority(options),
    }
    prompt = text_given(options.prompt)
    terminal = Terminal()
    async with open_desk(options) as desk:
        result = await put_question(desk, prompt, terminal, is_quiet=options.json, **given)
    if options.json:
        print_json(result)
    else:
        print_answer(result)
        tell_about(result, terminal)
    return exit_status(result)


async def execute(options: Options) -> int:
    """Run Python: its streams and displays as they come, then the last value, or the traceback and why it ended. Ctrl-C interrupts it."""
    given = {"session": options.session, "timeout_seconds": options.timeout, "reset": options.reset}
    code = text_given(options.code)
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
            await _tell_interrupted(run, print_json if options.json else printer.end)
            raise
    if options.json:
        print_json(result)
    else:
        printer.end(result)
    return {"ok": EXIT_DONE, "limit": EXIT_REFUSED}.get(result.status, EXIT_FAILED)


async def view(options: Options) -> int:
    """Look at a table; where that takes long, stderr tells how far it is, if it is a terminal. Ctrl-C stops the work."""
    async with open_desk(options) as desk:
        await view_at(desk, options)
    return EXIT_DONE


async def view_at(desk: Client, options: Options) -> None:
    """Look at a table of a desk."""
    names = ("offset", "columns", "filter", "sort", "delimiter")
    given = {"n_rows": options.n, **{name: getattr(options, name) for name in names}}
    with ProgressLine(f"Reading {options.path}") as line:
        result = await desk.view_data(path_at(desk, options.path), options.operation, on_progress=line.tell, **given)
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


async def _tell_interrupted(run: Run[PythonResult], tell: Callable[[PythonResult], None]) -> None:
    """Interrupt code, and tell what became of the session."""
    with contextlib.suppress(AnalystdError):
        await run.cancel()
        tell(await run.result(timeout=INTERRUPT_SECONDS))


def _priority(options: Options) -> Any:
    return "batch" if options.batch else None
