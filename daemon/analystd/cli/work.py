"""`run`, `exec`, `view`, `files`."""

from __future__ import annotations

import asyncio
import contextlib
import sys
from collections.abc import Callable
from typing import Any

from analystd.cli import EXIT_DONE, EXIT_FAILED, EXIT_REFUSED
from analystd.cli.answers import print_answer
from analystd.cli.commands import Options
from analystd.cli.desk import open_desk, path_at
from analystd.cli.execution import ExecutionPrinter
from analystd.cli.render import TOLD_KINDS, ProgressLine, Terminal, print_json
from analystd.cli.stdin import text_given
from analystd.client import AgentResult, PythonResult, Run
from analystd.errors import AnalystdError
from analystd.util.inert_text import one_line

_INTERRUPT_SECONDS = 20.0
"""How long the end of code is waited for after Ctrl-C, to tell what became of the variables."""


async def ask(options: Options) -> int:
    """Ask the model: the trail goes to stderr as it happens, the answer to stdout. Ctrl-C cancels the run."""
    names = ("conversation", "session", "max_steps", "max_seconds")
    given = {**{name: getattr(options, name) for name in names}, "priority": _priority(options)}
    prompt = text_given(options.prompt)
    terminal = Terminal()
    async with open_desk(options) as desk, desk.start_agent(prompt, **given) as run:
        try:
            if not options.json:
                async for event in run.events():
                    terminal.event(event)
            result = await run.result()
        except asyncio.CancelledError:
            await _tell_cancelled(run, terminal)
            raise
    if options.json:
        print_json(result)
    else:
        print_answer(result)
        if result.error is not None:
            terminal.problem(result.error.message)
            if result.error.hint:
                terminal.line(f"  {result.error.hint}")
        _print_cost(result)
    return {"done": EXIT_DONE, "limit": EXIT_REFUSED}.get(result.status, EXIT_FAILED)


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
    names = ("offset", "columns", "filter", "sort", "delimiter")
    given = {"n_rows": options.n, **{name: getattr(options, name) for name in names}}
    async with open_desk(options) as desk:
        with ProgressLine(f"Reading {options.path}") as line:
            result = await desk.view_data(
                path_at(desk, options.path), options.operation, on_progress=line.tell, **given
            )
    if options.json:
        print_json(result)
        return EXIT_DONE
    print(result.text)
    for warning in result.warnings:
        print(f"warning: {one_line(warning)}", file=sys.stderr)
    return EXIT_DONE


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
        tell(await run.result(timeout=_INTERRUPT_SECONDS))


async def _tell_cancelled(run: Run[AgentResult], terminal: Terminal) -> None:
    """Cancel a question, and tell what became of the session that it used."""
    with contextlib.suppress(AnalystdError):
        await run.cancel()
        async for event in run.events(timeout=_INTERRUPT_SECONDS):
            if event.kind in TOLD_KINDS:
                terminal.event(event)


def _print_cost(result: AgentResult) -> None:
    usage = result.usage
    tokens = f"{usage.prompt_tokens} prompt tokens ({usage.cached_tokens} cached), {usage.completion_tokens} generated"
    steps = len(result.steps)
    print(f"{result.run_id}: {result.status}, {steps} calls, {tokens}, {usage.seconds:.1f} s", file=sys.stderr)


def _priority(options: Options) -> Any:
    return "batch" if options.batch else None
