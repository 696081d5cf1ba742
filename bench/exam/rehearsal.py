"""Rehearse the exam with a scripted model that makes the mistakes of real ones: it takes seconds, needs no model, and finds a broken agent.

Only the replies are scripted; daemon, agent, sandboxed session, files and grading are real. The script says what each reply expects in the
prompt (the facts of a file, an error with its hint, a printed value, which pandas computes here), so that it stops if the agent does not do
its part; and wrong answers must be graded as such.
"""

from __future__ import annotations

import json
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
from bench.exam.grading import Verdict
from bench.exam.questions import Asked, Expected, Made, Number, Question, Refusal, Words
from bench.exam.runner import Outcome, examiner

_PARAMETERS = 1_500_000_000
_ROWS = 60
TABLE = "shop.csv"
_READ = f"import pandas as pd\ndf = pd.read_csv({TABLE!r})\n"

Reply = str | tuple[str, str]


@dataclass(frozen=True)
class Scene:
    """A question, the replies of the scripted model, each optionally with what it expects in the prompt, and the expected verdict."""

    question: Question
    replies: tuple[Reply, ...]
    wanted: Verdict = "right"

    @property
    def name(self) -> str:
        return self.question.id


def write_table(folder: Path) -> pd.DataFrame:
    """Write the one table of all scenes."""
    draw = np.random.default_rng(20)
    table = pd.DataFrame(
        {
            "day": pd.date_range("2024-01-01", periods=_ROWS).strftime("%Y-%m-%d"),
            "Region": draw.choice(["North", "South", "East"], _ROWS),
            "Unit Price": draw.normal(40, 9, _ROWS).round(2),
            "units": draw.integers(1, 30, _ROWS),
        }
    )
    table.loc[draw.choice(_ROWS, 7, replace=False), "Unit Price"] = np.nan
    table.to_csv(folder / TABLE, index=False)
    return pd.read_csv(folder / TABLE)


def scenes(table: pd.DataFrame) -> list[Scene]:
    """Return the scenes, whose values are computed from the table."""
    price = table["Unit Price"]
    mean, missing, units = f"{price.mean():.2f}", int(price.isna().sum()), int(table["units"].sum())
    best = str(table.groupby("Region")["units"].sum().idxmax())
    most = int(table.groupby("Region")["units"].sum().max())
    known = price.dropna()
    fall, spread = float((known / known.cummax() - 1).min()), float(np.std(table["units"]))
    mean_program = fenced(f"{_READ}print('mean price:', round(df['Unit Price'].mean(), 2))")
    is_mean = Number(float(price.mean()), 2, "mean")
    asks_mean = "What is the mean unit price in shop.csv, to two decimals?"
    told_mean = (f"The mean unit price is {mean}.", f"Output:\nmean price: {mean}")
    qwen = json.dumps({"name": "pyexe", "arguments": {"code": f"{_READ}print('units:', df['units'].sum())"}})
    return [
        _scene("facts", asks_mean, is_mean, (mean_program, f"{TABLE}: {_ROWS} rows, 4 columns"), told_mean),
        _scene(
            "column-hint",
            asks_mean,
            is_mean,
            fenced(f"{_READ}print(df['unit_price'].mean())"),
            (mean_program, "There is no column 'unit_price' (did you mean 'Unit Price'?)"),
            told_mean,
        ),
        _scene(
            "mending",
            asks_mean,
            is_mean,
            fenced(f"{_READ}print(df.Price.mean())"),
            ("You should check the column names and try again.", "AttributeError"),
            (mean_program, "The last program failed"),
            told_mean,
        ),
        _scene(
            "error-hint",
            "In which month is the last day? A number.",
            Number(float(pd.to_datetime(table["day"]).dt.month.max()), 0, "month"),
            fenced(f"{_READ}days = df['day']\nprint('month:', days.dt.month.max())"),
            (
                fenced(f"{_READ}print('month:', pd.to_datetime(df['day']).dt.month.max())"),
                "Convert the column first: df[column] = pd.to_datetime(df[column]).",
            ),
            (f"It is month {pd.to_datetime(table['day']).dt.month.max()}.", "Output:\nmonth: "),
        ),
        _scene(
            "missing-result",
            "By how much is the first unit count above the last?",
            Number(float(table["units"].iloc[0] - table["units"].iloc[-1]), 0, "difference"),
            fenced(f"{_READ}print('difference:', df['units'].head(1) - df['units'].tail(1))"),
            (
                fenced(f"{_READ}print('difference:', df['units'].iloc[0] - df['units'].iloc[-1])"),
                "It printed missing values only",
            ),
            (f"The difference is {table['units'].iloc[0] - table['units'].iloc[-1]}.", "Output:\ndifference: "),
        ),
        _scene(
            "old-pandas",
            "What is the mean unit price if missing ones count as 0, to two decimals?",
            Number(float(price.fillna(0).mean()), 2, "mean"),
            fenced(
                f"{_READ}df['Unit Price'].fillna(0, inplace=True)\nprint('mean price:', round(df['Unit Price'].mean(), 2))"
            ),
            (f"It is {price.fillna(0).mean():.2f}.", f"Output:\nmean price: {price.fillna(0).mean():.2f}"),
        ),
        _scene(
            "toolbox-hint",
            "How deep is the maximum drawdown of the Unit Price, as a share with three decimals?",
            Number(fall, 3, "drawdown"),
            (
                fenced(f"{_READ}import toolbox\nprint('drawdown:', round(toolbox.max_drawdown(df['Unit Price']), 3))"),
                "- toolbox.max_drawdown(prices): ",
            ),
            (f"It is {fall:.3f}.", "Output:\ndrawdown: "),
        ),
        _scene(
            "definition",
            "What is the population standard deviation of units, to three decimals?",
            Number(spread, 3, "deviation"),
            (
                fenced(f"{_READ}print('deviation:', round(df['units'].std(ddof=0), 3))"),
                '- Population standard deviation and variance: `df["units"].std(ddof=0)`',
            ),
            (f"It is {spread:.3f}.", "Output:\ndeviation: "),
        ),
        _scene(
            "prose",
            asks_mean,
            is_mean,
            "You can use df.mean(), which gives about 40.",
            (mean_program, "Do not answer from memory."),
            told_mean,
        ),
        _scene(
            "silence",
            asks_mean,
            is_mean,
            fenced(f"{_READ}mean = df['Unit Price'].mean()"),
            (mean_program, "it printed nothing"),
            told_mean,
        ),
        _scene(
            "own-call",
            "How many units were sold in total?",
            Number(units, 0, "units"),
            f"<tool_call>\n{qwen}\n</tool_call>",
            (f"{units} units were sold.", f"units: {units}"),
        ),
        _scene(
            "thought",
            "How many unit prices are missing?",
            Number(missing, 0, "missing"),
            f"<think>I count what isna() finds.</think>{fenced(f'{_READ}print(df.isna().sum())')}",
            (f"<think>So it is {missing}.</think>{missing} prices are missing.", f"Unit Price    {missing}"),
        ),
        _scene(
            "number-check",
            asks_mean,
            is_mean,
            mean_program,
            "The mean unit price is 123.45.",
            ("It is 123.46.", "These numbers stand in no output: 123.45"),
            wanted="marked",
        ),
        _scene(
            "wrong-column",
            asks_mean,
            is_mean,
            fenced(f"{_READ}print('mean:', round(df['units'].mean(), 2))"),
            f"The mean unit price is {table['units'].mean():.2f}.",
            wanted="wrong",
        ),
        _scene(
            "given-up",
            asks_mean,
            is_mean,
            fenced(f"{_READ}print(df.columns)"),
            "The file has no such column, so I cannot tell.",
            wanted="refused",
        ),
        _scene(
            "not-there",
            "What did customers pay for shipping?",
            Refusal(),
            fenced(f"{_READ}print(list(df.columns))"),
            ("The table does not contain shipping costs.", "'Unit Price', 'units'"),
        ),
        _scene(
            "file",
            "Write the rows with a missing unit price to missing.csv.",
            Made(_missing_rows(missing)),
            fenced(f"{_READ}df[df['Unit Price'].isna()].to_csv('missing.csv', index=False)\nprint('written')"),
            ("They are in missing.csv.", "Output:\nwritten"),
        ),
        Scene(
            Question(
                "rehearsal/follow-up",
                "rehearsal",
                (TABLE,),
                (
                    Asked("Which region sold most units?", (Words((best,)),)),
                    Asked("And how many were these?", (Number(most, 0, "units"),)),
                ),
            ),
            (
                fenced(f"{_READ}sold = df.groupby('Region')['units'].sum()\nprint(sold.idxmax())"),
                (f"{best} sold most.", f"Output:\n{best}"),
                (fenced("print('units:', sold.max())"), "sold"),
                (f"{most} units.", f"Output:\nunits: {most}"),
            ),
        ),
    ]


def perform(scene: Scene, folder: Path, without: tuple[str, ...] = ()) -> Outcome:
    """Ask a daemon of its own the question of a scene, with scripted replies; `folder` holds the table."""
    script = folder / f"{scene.name.rpartition('/')[2]}.jsonl"
    lines = [{"parameters": _PARAMETERS}, *map(_line, scene.replies)]
    script.write_text("".join(json.dumps(line) + "\n" for line in lines))
    with examiner(folder, script, without) as who:
        return who.ask(scene.question)


def main() -> int:
    """Perform all scenes; return 1 if any verdict differs from the expected one."""
    failures = 0
    with tempfile.TemporaryDirectory(prefix="rehearsal-") as name:
        folder = Path(name)
        for scene in scenes(write_table(folder)):
            outcome = perform(scene, folder)
            failures += outcome.verdict != scene.wanted
            print(
                f"{'ok' if outcome.verdict == scene.wanted else 'FAILED':7} {scene.name:28} {outcome.verdict}",
                flush=True,
            )
            if outcome.verdict != scene.wanted:
                print(f"        {scene.wanted} was wanted: {outcome.turns[-1].answer}", flush=True)
    return 1 if failures else 0


def fenced(code: str) -> str:
    """Return a program as a model writes it."""
    return f"```python\n{code}\n```"


def _scene(name: str, text: str, expected: Expected, *replies: Reply, wanted: Verdict = "right") -> Scene:
    return Scene(Question(f"rehearsal/{name}", "rehearsal", (TABLE,), (Asked(text, (expected,)),)), replies, wanted)


def _line(reply: Reply) -> dict[str, object]:
    return {"say": reply} if isinstance(reply, str) else {"say": reply[0], "expect": reply[1]}


def _missing_rows(count: int) -> Callable[[Path], str | None]:
    def check(workspace: Path) -> str | None:
        made = pd.read_csv(workspace / "missing.csv")
        is_right = len(made) == count and bool(made["Unit Price"].isna().all())
        return None if is_right else f"it has {len(made)} rows"

    return check
