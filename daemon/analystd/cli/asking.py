"""A question to the model: put, followed to its end, and stopped; what is said of its answer."""

from __future__ import annotations

import asyncio
import contextlib
from typing import Unpack

from analystd.cli.answers import doubts
from analystd.cli.exit_status import EXIT_DONE, EXIT_FAILED, EXIT_REFUSED
from analystd.cli.parser import Options
from analystd.cli.render import TOLD_KINDS, Terminal
from analystd.client import AgentResult, Client, Run
from analystd.client.options import AgentOptions
from analystd.wire.errors import AnalystdError

INTERRUPT_SECONDS = 20.0
"""How long the end of a run is waited for after Ctrl-C, to tell what became of the variables."""


def agent_options(options: Options) -> AgentOptions:
    """Return what a command line says of its questions, the conversation apart."""
    return {
        "session": options.session,
        "max_steps": options.max_steps,
        "max_seconds": options.max_seconds,
    }


async def put_question(
    desk: Client, prompt: str, terminal: Terminal, *, is_quiet: bool = False, **options: Unpack[AgentOptions]
) -> AgentResult:
    """Ask the model, and show what happens unless `is_quiet`. Cancelling the task cancels the run, and waits for its end.

    Raises:
        AnalystdError: when the run never started, or died with its daemon.
    """
    async with desk.start_agent(prompt, **options) as run:
        try:
            if not is_quiet:
                async for event in run.events():
                    terminal.event(event)
            return await run.result()
        except asyncio.CancelledError:
            await _tell_cancelled(run, terminal)
            raise


def tell_about(result: AgentResult, terminal: Terminal) -> None:
    """Print what there is to say of an answer: why it failed, what is doubtful about it, what it cost."""
    if result.error is not None:
        terminal.problem(result.error.message)
        if result.error.hint:
            terminal.line(f"  {result.error.hint}")
    for line in doubts(result):
        terminal.line(line, style="33")
    usage = result.usage
    tokens = f"{usage.prompt_tokens} prompt tokens ({usage.cached_tokens} cached), {usage.completion_tokens} generated"
    cost = f"{result.run_id}: {result.status}, {len(result.steps)} calls, {tokens}, {usage.seconds:.1f} s"
    terminal.line(cost, style="2")


def exit_status(result: AgentResult) -> int:
    """Return the exit status that an answer gives a command."""
    return {"done": EXIT_DONE, "limit": EXIT_REFUSED}.get(result.status, EXIT_FAILED)


async def _tell_cancelled(run: Run[AgentResult], terminal: Terminal) -> None:
    """Cancel a question, and tell what became of the session that it used."""
    with contextlib.suppress(AnalystdError):
        await run.cancel()
        async for event in run.events(timeout=INTERRUPT_SECONDS):
            if event.kind in TOLD_KINDS:
                terminal.event(event)
