"""Questions that the files cannot answer in any way: about a column, a symbol, a year or a cause that is not recorded."""

from __future__ import annotations

from pathlib import Path

from bench.exam.day import sources
from bench.exam.day.asking import ask, question
from bench.exam.questions import Question, Refusal


def questions(folder: Path) -> list[Question]:
    first = sources.daily_closes(folder)["date"].min()
    refused = Refusal()
    return [
        question(
            "no-such-file",
            ("customers.csv", "orders.csv"),
            ask("What's the total of salary in payroll.csv?", refused),
        ),
        question(
            "no-such-column",
            ("orders.csv",),
            ask("average discount our customers got, from orders.csv", refused),
        ),
        question(
            "no-such-symbol",
            ("trades.csv",),
            ask("At what price did we last buy TSLA? It should be in trades.csv.", refused),
        ),
        question(
            "before-the-data",
            ("daily_closes.csv",),
            ask(f"What did HELI close at on the last trading day of {first.year - 3}? daily_closes.csv", refused),
        ),
        question(
            "alter-der-kunden",
            ("customers.csv",),
            ask("Wie alt sind die Ansprechpartner unserer Kunden im Schnitt? (customers.csv)", refused),
        ),
        question(
            "margin",
            ("customers.csv", "orders.csv"),
            ask(
                "What margin do we make on our shipped orders, in percent of revenue? orders.csv and customers.csv are all there is.",
                refused,
            ),
        ),
        question(
            "who-sold-it",
            ("invoices.csv",),
            ask("Which sales rep brought in the most, going by invoices.csv?", refused),
        ),
    ]
