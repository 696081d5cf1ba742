"""`demo`: a year of one-minute bars, the analyst's workflow on them through the daemon, then a question to the local model."""

from __future__ import annotations

import asyncio
import math
import os
import random
import sys
import time
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from analystd.cli import EXIT_DONE, EXIT_FAILED
from analystd.cli.answers import doubts
from analystd.cli.commands import Options
from analystd.cli.desk import tell_notices
from analystd.cli.execution import ending_lines
from analystd.cli.render import Terminal, call_text, gigabytes, indented, print_json
from analystd.client import AgentResult, Client, connect
from analystd.engine.embedded import fitting_model, pull_embedded
from analystd.errors import EngineUnavailableError
from analystd.jail.workspace_place import find_workspace
from analystd.protocol import Command

BARS_FILE = "btc_1m_bars.csv"
BARS = 365 * 24 * 60
QUESTIONS = (
    f"How many rows does {BARS_FILE} have, and which columns?",
    f"What are the mean and the standard deviation of the returns of close (pct_change) in {BARS_FILE}?",
    "Write a synthetic price series of 1000 one-minute bars to synthetic_series.csv (columns timestamp and close, a random walk that "
    "begins at 100, seed 1), then read the file again and print how many rows it has.",
)
FOLLOW_UP = "And how many of them are above 101?"
"""Asked of the last answer."""

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

WORKFLOW: tuple[tuple[str, Command, dict[str, Any]], ...] = (
    ("Check what's in workspace", Command.LIST_FILES, {"path": "."}),
    ("Peek at data structure", Command.VIEW_DATA, {"path": BARS_FILE, "operation": "shape"}),
    ("Load data in persistent Python", Command.EXEC_PYTHON, {"code": _LOAD}),
    ("Analyze price patterns", Command.EXEC_PYTHON, {"code": _RETURNS}),
    ("Create synthetic data", Command.EXEC_PYTHON, {"code": _SYNTHETIC}),
    ("Verify output", Command.VIEW_DATA, {"path": "synthetic_prices.csv", "operation": "head", "n_rows": 10}),
)


async def demo(options: Options) -> int:
    """Run the demonstration; the exit status is 1 when a step of it failed."""
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
    await _have_model(terminal)
    async with connect(folder) as client:
        tell_notices(client)
        about = client.about
        model = None if about.engine is None else about.engine.model
        terminal.line(f"Desk {about.workspace}, sandbox {about.sandbox.level}, model {model}", style="2")
        works = [await _walk(client, terminal, *step) for step in WORKFLOW]
        answers = [await _ask(client, terminal, question) for question in QUESTIONS]
        answers.append(await _ask(client, terminal, FOLLOW_UP, conversation=answers[-1].conversation))
    last = answers[-1].run_id
    terminal.line(f"\nThe whole trail: analystd show {last}; its log: analystd logs {last}", style="2")
    if options.json:
        print_json([dict(answer) for answer in answers])
    return EXIT_DONE if all(works) and all(each.status in ("done", "limit") for each in answers) else EXIT_FAILED


async def _ask(client: Client, terminal: Terminal, question: str, conversation: str | None = None) -> AgentResult:
    """Put a question to the model, showing its trail, and show the answer."""
    terminal.line(f"\nAsk the model: {question}", style="1")
    async with client.start_agent(question, conversation=conversation) as run:
        async for event in run.events():
            terminal.event(event)
        answer = await run.result()
    terminal.line(f"= {answer.answer}", style="1")
    for doubt in doubts(answer):
        terminal.line(doubt, style="31")
    terminal.line(f"{run.id}: {answer.status}, {len(answer.steps)} steps, {answer.usage.seconds:.1f} s", style="2")
    return answer


def write_bars(path: Path, bars: int = BARS, seed: int = 7) -> None:
    """Write `bars` one-minute bars (timestamp, open, high, low, close, volume) of a geometric random walk, the same each time."""
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


async def _have_model(terminal: Terminal) -> None:
    """Fetch the embedded model once; a model of the user's own is used as it is."""
    if os.environ.get("AGENT_MODEL_PATH"):
        return
    try:
        await asyncio.to_thread(lambda: pull_embedded(fitting_model()))
    except EngineUnavailableError as exc:
        terminal.line(f"The model could not be fetched: {exc.message}", style="31")


async def _walk(client: Client, terminal: Terminal, title: str, command: Command, arguments: dict[str, Any]) -> bool:
    terminal.line(f"\n# {title}", style="1")
    terminal.line(f"→ {call_text(command.rpartition('.')[2], arguments)}", style="36")
    started = time.monotonic()
    result = await client.command(command, **arguments)
    text = result["text"] if "text" in result else result["stdout"] + result["stderr"]
    error = result.get("error")
    if error:
        text += "\n".join(ending_lines(result))
    terminal.line(f"← {indented(text)}  ({time.monotonic() - started:.2f} s)", style="31" if error else "32")
    return not error
