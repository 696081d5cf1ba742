"""Ask the agent questions with known answers, with each model and without each of its ingredients: right, wrong, refused, marked.

Programs compute the answers from public tables (`bench/exam`); a real daemon is asked the questions, each in a workspace of its own.
"""

from __future__ import annotations

import argparse
import json
import signal
import statistics
import sys
import tempfile
from collections.abc import Iterable, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any, get_args

from bench.exam import rehearsal
from bench.exam.catalog import questions, write_files
from bench.exam.grading import Verdict
from bench.exam.ingredients import INGREDIENTS
from bench.exam.questions import Question
from bench.exam.runner import Outcome, examiner

from analystd.models.embedded import embedded_models

Record = dict[str, Any]
VERDICTS: tuple[Verdict, ...] = get_args(Verdict)
_SHOWN = 100
_MOST_FAILURES = 3
"""Number of consecutive runs that may end with an error that is not the model's, before the machine is taken to be broken."""


def main() -> int:
    options = arguments()
    # Otherwise the daemon would outlive a process that is terminated.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))
    if options.short:
        return rehearsal.main()
    models = [] if options.list else [(Path(name).name, model_file(name)) for name in options.model]
    done = read_records(options.out) if options.out else []
    with tempfile.TemporaryDirectory(prefix="exam-tables-") as folder:
        tables = Path(folder)
        write_files(tables)
        chosen = choose(questions(tables), options)
        print(
            f"{len(chosen)} questions over {len({name for each in chosen for name in each.tables})} tables", flush=True
        )
        if options.list:
            for question in chosen:
                print(f"{question.id}\t{' → '.join(turn.text for turn in question.turns)}\t{expectations(question)}")
            return 0
        for name, model in models:
            for without in options.without:
                key = {"model": name, "without": without}
                asked = {each["id"] for each in done if each.items() >= key.items()}
                todo = [question for question in chosen if question.id not in asked]
                done += run(todo, tables, model, key, options)
    wanted = {question.id for question in chosen}
    report([each for each in done if each["id"] in wanted])
    return 0


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="bench.answers", description=__doc__)
    add = parser.add_argument
    names = [each.name for each in embedded_models()[:-1]]
    add("--model", nargs="+", default=names[:1], metavar="NAME|PATH", help=f"{', '.join(names)}, or a GGUF file")
    add("--family", nargs="+", default=[], help="only questions of these families")
    add("--only", nargs="+", default=[], metavar="ID", help="only these questions, or those whose ids begin so")
    add("--every", type=int, default=1, metavar="N", help="each Nth question only")
    add(
        "--without",
        nargs="*",
        choices=[*INGREDIENTS, "nothing"],
        default=["nothing"],
        help="take these away from the agent, one after another (`nothing`: the whole agent, as without this option)",
    )
    add("--seconds", type=float, default=300.0, help="the most that a turn may take (default: 300)")
    add("--out", type=Path, metavar="FILE.jsonl", help="write each outcome as it comes, and go on from what is there")
    add("--list", action="store_true", help="print the questions with what is expected, and ask nothing")
    add(
        "--short", action="store_true", help="a rehearsal of seconds with a played model, in which a broken agent fails"
    )
    return parser.parse_args()


def model_file(name: str) -> Path:
    for model in embedded_models():
        if model.name == name:
            if not model.path.exists():
                raise SystemExit(f"{name} is not there yet; `analystd model pull {name}` fetches it")
            return model.path
    path = Path(name).expanduser().absolute()
    if not path.is_file():
        raise SystemExit(f"{name} is neither a known model nor a file")
    return path


def choose(all_questions: Sequence[Question], options: argparse.Namespace) -> list[Question]:
    unknown = set(options.family) - {question.family for question in all_questions}
    if unknown:
        raise SystemExit(f"there is no family {', '.join(sorted(unknown))}")
    chosen = [
        question
        for question in all_questions
        if (not options.family or question.family in options.family)
        and (not options.only or question.id.startswith(tuple(options.only)))
    ]
    return chosen[:: options.every]


def expectations(question: Question) -> str:
    return "; ".join(str(each) for turn in question.turns for each in turn.expected)


def read_records(path: Path) -> list[Record]:
    """Return the records written before, and remove an incomplete last line."""
    if not path.exists():
        return []
    text = path.read_text()
    whole = text[: text.rfind("\n") + 1]
    if whole != text:
        path.write_text(whole)
    return [json.loads(line) for line in whole.splitlines()]


def run(
    todo: Sequence[Question], tables: Path, model: Path, key: dict[str, str], options: argparse.Namespace
) -> list[Record]:
    if not todo:
        return []
    records: list[Record] = []
    without = [] if key["without"] == "nothing" else [key["without"]]
    print(f"\n{key['model']} without {key['without']}", flush=True)
    failures = 0
    with examiner(tables, model, without, options.seconds) as who:
        for question in todo:
            outcome = who.ask(question)
            failures = failures + 1 if any(turn.status == "failed" for turn in outcome.turns) else 0
            if failures == _MOST_FAILURES:
                raise SystemExit(f"{failures} runs in a row failed, the last: {outcome.turns[-1].answer}")
            record = {**key, **asdict(outcome)}
            records.append(record)
            tell(outcome)
            if options.out:
                with options.out.open("a") as file:
                    file.write(json.dumps(record, ensure_ascii=False) + "\n")
    return records


def tell(outcome: Outcome) -> None:
    seconds = sum(turn.seconds for turn in outcome.turns)
    line = f"{outcome.verdict:8} {outcome.id:40} {seconds:6.1f} s"
    failed = next((turn for turn in outcome.turns if turn.verdict != "right"), None)
    if failed is not None:
        line += f"  {'; '.join(failed.problems)} in: {' '.join(failed.answer.split())[:_SHOWN]!r}"
    print(line, flush=True)


def report(records: Sequence[Record]) -> None:
    """Print a table for each model and removed ingredient, and one that compares them."""
    runs = dict.fromkeys((each["model"], each["without"]) for each in records)
    for model, without in runs:
        chosen = [each for each in records if (each["model"], each["without"]) == (model, without)]
        families = list(dict.fromkeys(each["family"] for each in chosen))
        print(f"\n{model} without {without}")
        head("family")
        for family in families:
            row(family, [each for each in chosen if each["family"] == family])
        row("all", chosen)
        shares = {verdict: sum(each["verdict"] == verdict for each in chosen) / len(chosen) for verdict in VERDICTS}
        print(", ".join(f"{share:.1%} {verdict}" for verdict, share in shares.items()))
    if len(runs) > 1:
        print()
        head("all families")
        for model, without in runs:
            row(
                f"{model} − {without}",
                [each for each in records if (each["model"], each["without"]) == (model, without)],
            )


def head(what: str) -> None:
    print(
        f"{what:40}{'asked':>7}{'right':>7}{'wrong':>7}{'refused':>9}{'marked':>8}{'figures':>11}{'seconds':>9}{'tokens':>8}"
    )


def row(name: str, records: Sequence[Record]) -> None:
    """Print one row: figures are the single values held; seconds and generated tokens are medians over turns."""
    turns = [turn for each in records for turn in each["turns"]]
    verdicts = [each["verdict"] for each in records]
    held, asked = (total(turns, field) for field in ("held", "asked"))
    seconds, tokens = (statistics.median(turn[field] for turn in turns) for field in ("seconds", "completion_tokens"))
    counts = "".join(
        f"{verdicts.count(verdict):>{width}}" for verdict, width in zip(VERDICTS, (7, 7, 9, 8), strict=True)
    )
    print(f"{name:40}{len(records):>7}{counts}{f'{held}/{asked}':>11}{seconds:>9.1f}{tokens:>8.0f}")


def total(turns: Iterable[Record], field: str) -> int:
    return sum(int(turn[field]) for turn in turns)


if __name__ == "__main__":
    raise SystemExit(main())
