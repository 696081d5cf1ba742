"""Ask the model a question, show its run, and print the summary of its answer."""

from __future__ import annotations

import asyncio
import contextlib
from typing import Unpack

from analystd.cli.answers import doubts
from analystd.cli.exit_status import EXIT_DONE, EXIT_FAILED, EXIT_REFUSED
from analystd.cli.parser import Options
from analystd.cli.render import NOTICE_KINDS, Terminal
from analystd.client import AgentResult, Client, Run
from analystd.client.options import AgentOptions
from analystd.wire.errors import AnalystdError

INTERRUPT_SECONDS = 20.0
"""How long to wait for the end of a run after Ctrl-C, to report whether the session kept its variables."""


def agent_options(options: Options) -> AgentOptions:
    """Return the options of a command line that hold for each question, without the conversation."""
    return {
        "session": options.session,
        "max_steps": options.max_steps,
        "max_seconds": options.max_seconds,
    }


async def ask_model(
    desk: Client, prompt: str, terminal: Terminal, *, is_quiet: bool = False, **options: Unpack[AgentOptions]
) -> AgentResult:
    """Ask the model, and show the run's events unless `is_quiet`. Cancelling the task cancels the run and waits for its end.

    Raises:
        AnalystdError: when the run did not start, or its daemon ended.
    """
    async with desk.start_agent(prompt, **options) as run:
        try:
            if not is_quiet:
                async for event in run.events():
                    terminal.event(event)
            return await run.result()
        except asyncio.CancelledError:
            await _cancel(run, terminal)
            raise


def print_summary(result: AgentResult, terminal: Terminal) -> None:
    """Print the summary of an answer: why it failed, its warnings, its tokens and time."""
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
    """Return the exit status of a command whose question ended with this result."""
    return {"done": EXIT_DONE, "limit": EXIT_REFUSED}.get(result.status, EXIT_FAILED)


async def _cancel(run: Run[AgentResult], terminal: Terminal) -> None:
    """Cancel a run, and print the notices that follow, such as that its session has lost its variables."""
    with contextlib.suppress(AnalystdError):
        await run.cancel()
        async for event in run.events(timeout=INTERRUPT_SECONDS):
            if event.kind in NOTICE_KINDS:
                terminal.event(event)
