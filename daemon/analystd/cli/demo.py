"""`demo`: run an analyst's workflow on a year of one-minute bars through the daemon, then ask the local model about them."""

from __future__ import annotations

import math
import os
import random
import sys
import time
from collections.abc import Awaitable, Callable
from datetime import datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any

from analystd.cli.asking import ask_model, print_summary
from analystd.cli.demo_checks import (
    SERIES_FILE,
    SERIES_ROWS,
    SERIES_START,
    THRESHOLD,
    check_count,
    check_figures,
    check_series,
    check_shape,
    figures_in,
)
from analystd.cli.desk import print_desk_notices
from analystd.cli.execution import ending_lines
from analystd.cli.exit_status import EXIT_DONE, EXIT_FAILED
from analystd.cli.parser import Options
from analystd.cli.render import Terminal, call_text, gigabytes, indented, print_json
from analystd.client import AgentResult, Client, connect
from analystd.jail.workspace_place import find_workspace
from analystd.models.embedded import choose_model, fetch_embedded
from analystd.wire.errors import AnalystdError, EngineUnavailableError
from analystd.wire.names import Command

BARS_FILE = "btc_1m_bars.csv"
BARS = 365 * 24 * 60
QUESTIONS = (
    f"How many rows does {BARS_FILE} have, and which columns?",
    f"What are the mean and the standard deviation of the returns of close (pct_change) in {BARS_FILE}?",
    f"Generate synthetic price action: {SERIES_ROWS:,} one-minute bars with the columns timestamp and close, where close is {SERIES_START} plus "
    f"the cumulative sum of normal steps with standard deviation 0.5 (seed 1). Write it to {SERIES_FILE}, read that again and print how many "
    "rows it has.",
)
FOLLOW_UP = f"And how many of its closes are above {THRESHOLD}?"
"""Asked in the conversation of the last question."""

_LOAD = """\
import pandas as pd
import numpy as np

df = pd.read_csv('btc_1m_bars.csv')
print(f'Loaded {len(df)} bars')
print(df.head())"""

_RETURNS = """\
# Calculate returns
df['returns'] = df['close'].pct_change()
print('Mean return:', df['returns'].mean())
print('Volatility:', df['returns'].std())"""

_SYNTHETIC = """\
# Generate synthetic price action
synthetic = pd.DataFrame({
    'timestamp': pd.date_range('2024-01-01', periods=1000, freq='1min'),
    'close': 100 + np.cumsum(np.random.randn(1000) * 0.5)
})

synthetic.to_csv('synthetic_prices.csv', index=False)
print(f'Generated {len(synthetic)} synthetic bars')"""

Check = Callable[[str], Awaitable[str | None]]
"""Returns what is wrong with an answer, or None."""

WORKFLOW: tuple[tuple[str, Command, dict[str, Any]], ...] = (
    ("Check what's in workspace", Command.LIST_FILES, {"path": "."}),
    ("Peek at data structure", Command.VIEW_DATA, {"path": BARS_FILE, "operation": "shape"}),
    ("Load data in persistent Python", Command.EXEC_PYTHON, {"code": _LOAD}),
    ("Analyze price patterns", Command.EXEC_PYTHON, {"code": _RETURNS}),
    ("Create synthetic data", Command.EXEC_PYTHON, {"code": _SYNTHETIC}),
    ("Verify output", Command.VIEW_DATA, {"path": "synthetic_prices.csv", "operation": "head", "n_rows": 10}),
)


async def demo(options: Options) -> int:
    """Run the demonstration; the exit status is 1 when a step failed."""
    folder = find_workspace(Path.cwd(), options.workspace)
    folder.mkdir(parents=True, exist_ok=True)
    terminal = Terminal(trail=sys.stderr if options.json else sys.stdout)
    bars = folder / BARS_FILE
    if not bars.exists():
        started = time.monotonic()
        write_bars(bars)
        terminal.line(
            f"Wrote {BARS:,} one-minute bars to {bars} ({gigabytes(bars.stat().st_size)}, {time.monotonic() - started:.1f} s)"
        )
    await _fetch_model(terminal)
    async with connect(folder) as client:
        print_desk_notices(client)
        about = client.about
        model = None if about.engine is None else about.engine.model
        terminal.line(f"Desk {about.workspace}, sandbox {about.sandbox.level}, model {model}", style="2")
        outputs = [await _walk(client, terminal, *step) for step in WORKFLOW]
        figures = figures_in("\n".join(output or "" for output in outputs))
        checks: tuple[Check, ...] = (
            partial(check_shape, client, BARS_FILE),
            partial(check_figures, figures),
            partial(check_series, client),
        )
        answers: list[AgentResult] = []
        for question, check in zip(QUESTIONS, checks, strict=True):
            answers.append(await _ask(client, terminal, question, check))
        conversation = answers[-1].conversation
        answers.append(await _ask(client, terminal, FOLLOW_UP, partial(check_count, client), conversation))
    last = answers[-1].run_id
    terminal.line(f"\nThe whole trail: analystd show {last}; its log: analystd logs {last}", style="2")
    if options.json:
        print_json([dict(answer) for answer in answers])
    return (
        EXIT_DONE if None not in outputs and all(each.status in ("done", "limit") for each in answers) else EXIT_FAILED
    )


async def _ask(
    client: Client, terminal: Terminal, question: str, check: Check, conversation: str | None = None
) -> AgentResult:
    """Ask the model a question, show its steps and its answer, and say whether the answer is right."""
    terminal.line(f"\nAsk the model: {question}", style="1")
    answer = await ask_model(client, question, terminal, conversation=conversation)
    terminal.line(f"= {answer.answer}", style="1")
    print_summary(answer, terminal)
    await _print_check(terminal, check(answer.answer))
    return answer


def write_bars(path: Path, bars: int = BARS, seed: int = 7) -> None:
    """Write `bars` one-minute bars (timestamp, open, high, low, close, volume) of a geometric random walk, the same for the same seed."""
    numbers = random.Random(seed)
    price = 16_500.0
    moment = datetime(2023, 1, 1)
    minute = timedelta(minutes=1)
    draft = path.with_suffix(".draft")
    # Code in the workspace may have put a link there.
    draft.unlink(missing_ok=True)
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o666)
    with os.fdopen(descriptor, "w", encoding="ascii", newline="") as file:
        file.write("timestamp,open,high,low,close,volume\n")
        for _ in range(bars):
            close = price * math.exp(numbers.gauss(1.5e-6, 6e-4))
            high = max(price, close) * (1 + abs(numbers.gauss(0, 2e-4)))
            low = min(price, close) * (1 - abs(numbers.gauss(0, 2e-4)))
            volume = numbers.expovariate(1 / 12)
            file.write(f"{moment},{price:.2f},{high:.2f},{low:.2f},{close:.2f},{volume:.4f}\n")
            price = close
            moment += minute
    draft.replace(path)


async def _fetch_model(terminal: Terminal) -> None:
    """Fetch the embedded model once, unless the user has chosen another model."""
    if os.environ.get("AGENT_MODEL_PATH"):
        return
    try:
        await fetch_embedded(choose_model().model)
    except EngineUnavailableError as exc:
        terminal.line(f"The model could not be fetched: {exc.message}", style="31")


async def _print_check(terminal: Terminal, check: Awaitable[str | None]) -> None:
    """Print whether an answer agrees with the files."""
    try:
        wrong = await check
    except AnalystdError as exc:
        wrong = exc.message
    if wrong is None:
        terminal.line("✓ Right: the files say so too.", style="32")
    else:
        terminal.line(f"✗ Wrong: {wrong}.", style="31")


async def _walk(
    client: Client, terminal: Terminal, title: str, command: Command, arguments: dict[str, Any]
) -> str | None:
    """Run one step of the workflow, and return its output; None when it failed."""
    terminal.line(f"\n# {title}", style="1")
    terminal.line(f"→ {call_text(command.rpartition('.')[2], arguments)}", style="36")
    started = time.monotonic()
    result = await client.command(command, **arguments)
    text = result["text"] if "text" in result else result["stdout"] + result["stderr"]
    error = result.get("error")
    if error:
        text += "\n".join(ending_lines(result))
    terminal.line(f"← {indented(text)}  ({time.monotonic() - started:.2f} s)", style="31" if error else "32")
    return None if error else text
