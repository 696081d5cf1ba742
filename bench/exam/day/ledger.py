"""A German ledger: semicolons, decimal commas, Windows-1252, and slips that do not balance. Most questions are in German."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
from bench.exam.day import sources
from bench.exam.day.asking import ask, in_month, largest, numbers, question
from bench.exam.day.checks import picture, table
from bench.exam.questions import Number, Question, Words
from bench.exam.writing import count

FILE = ("buchungen_2024.csv",)
_REVENUE = "4400"
_RENT = "6300"


def unbalanced(ledger: pd.DataFrame) -> dict[str, float]:
    """Return debit minus credit of each slip where they differ."""
    sums = ledger.groupby("Beleg")[["Soll", "Haben"]].sum()
    differences = (sums["Soll"] - sums["Haben"]).round(2)
    return {str(slip): float(value) for slip, value in differences[differences != 0].items()}


def questions(folder: Path) -> list[Question]:
    ledger = sources.ledger(folder)
    costs = ledger[ledger["Konto"].str.startswith("6")]
    return [*_totals(ledger), *_balances(ledger), *_costs(costs), _quarters(costs), _revenue(ledger)]


def _totals(ledger: pd.DataFrame) -> list[Question]:
    debit, credit = float(ledger["Soll"].sum()), float(ledger["Haben"].sum())
    march = ledger[ledger["Buchungsdatum"].dt.month == 3]
    return [
        question(
            "soll-haben",
            FILE,
            ask(
                "Summe Soll und Summe Haben in buchungen_2024.csv, und die Differenz (Soll minus Haben)? Auf den Cent genau.",
                Number(debit, 2, "Soll"),
                Number(credit, 2, "Haben"),
                Number(debit - credit, 2, "Differenz"),
            ),
        ),
        question(
            "ledger-march",
            FILE,
            ask(
                "I don't read German, sorry: in buchungen_2024.csv, Soll is debit and Buchungsdatum the posting date (day.month.year, decimal "
                "commas). How many lines were posted in March and what is their total debit?",
                count(len(march), "lines"),
                Number(float(march["Soll"].sum()), 2, "debit"),
            ),
        ),
    ]


def _balances(ledger: pd.DataFrame) -> list[Question]:
    wrong = unbalanced(ledger)
    bank = ledger[ledger["Konto"] == "1800"]
    highest = ledger.loc[largest(ledger["Soll"])]
    return [
        question(
            "belege",
            FILE,
            ask(
                "Welche Belege in buchungen_2024.csv gehen nicht auf, d. h. Soll und Haben sind über alle Zeilen des Belegs nicht gleich? "
                "Belegnummern und jeweils die Differenz Soll minus Haben.",
                *(Words((slip,)) for slip in wrong),
                *numbers(wrong, 2),
            ),
        ),
        question(
            "bank",
            FILE,
            ask(
                "Was ging 2024 über das Konto Bank (1800) raus, also Summe Haben, und wie viele Buchungszeilen sind das?",
                Number(float(bank["Haben"].sum()), 2, "Haben"),
                count(len(bank), "Zeilen"),
            ),
        ),
        question(
            "groesste-buchung",
            FILE,
            ask(
                "größte einzelne soll-buchung in buchungen_2024.csv, welcher beleg und wie viel",
                Words((str(highest["Beleg"]),)),
                Number(float(highest["Soll"]), 2, "Soll"),
            ),
        ),
    ]


def _costs(costs: pd.DataFrame) -> list[Question]:
    by_unit = costs.groupby("Kostenstelle")["Soll"].sum()
    highest = str(largest(by_unit))
    names = costs.groupby("Bezeichnung")["Soll"].sum()
    dearest = str(largest(names))
    return [
        question(
            "kostenstelle",
            FILE,
            ask(
                "Welche Kostenstelle hat in buchungen_2024.csv die höchsten Aufwendungen? Gemeint sind die Konten, die mit 6 beginnen, Spalte "
                "Soll. Bitte alle Kostenstellen mit Betrag.",
                Words((highest,)),
                *numbers(dict(by_unit.items()), 2),
            ),
        ),
        question(
            "aufwand-diagramm",
            FILE,
            ask(
                "Mach mir ein Balkendiagramm der Aufwendungen (Konten 6xxx, Soll) je Bezeichnung aus buchungen_2024.csv, gespeichert als "
                "aufwand.png, und nenn mir den größten Posten mit Betrag.",
                picture("aufwand.png"),
                Words((dearest,)),
                Number(float(names.max()), 2, "größter Posten"),
            ),
        ),
    ]


def _quarters(costs: pd.DataFrame) -> Question:
    def quarterly(rows: pd.DataFrame) -> dict[str, float]:
        sums = rows.groupby(rows["Buchungsdatum"].dt.quarter)["Soll"].sum()
        return {f"Q{quarter}": float(value) for quarter, value in sums.items()}

    everything, without_rent = quarterly(costs), quarterly(costs[costs["Konto"] != _RENT])
    unit = quarterly(costs[(costs["Konto"] != _RENT) & (costs["Kostenstelle"] == "200")])
    highest = max(unit, key=lambda name: unit[name])
    return question(
        "quartale-kette",
        FILE,
        ask("Aufwendungen 2024 je Quartal aus buchungen_2024.csv? Konten 6xxx, Spalte Soll.", *numbers(everything, 2)),
        ask(f"Und ohne Konto {_RENT}?", *numbers(without_rent, 2)),
        ask("Davon nur Kostenstelle 200.", *numbers(unit, 2)),
        ask(
            "Welches Quartal war da am teuersten?",
            Words((highest, f"Quartal {highest[1]}", f"{highest[1]}. Quartal", f"2024{highest}")),
            Number(unit[highest], 2),
        ),
        ask(
            "Speicher diese vier Werte als quartale.csv, mit Semikolon getrennt und Dezimalkomma, Spalten Quartal und Betrag.",
            table("quartale.csv", {"Betrag": list(unit.values())}, delimiter=";", decimal=","),
        ),
    )


def _revenue(ledger: pd.DataFrame) -> Question:
    revenue = ledger[ledger["Konto"] == _REVENUE]
    months = revenue.groupby(revenue["Buchungsdatum"].dt.to_period("M"))["Haben"].sum()
    best = largest(months)
    return question(
        "umsatz",
        FILE,
        ask(
            f"Umsatz je Monat (Konto {_REVENUE}, Haben) aus buchungen_2024.csv als umsatz.csv speichern, Komma als Trenner und Dezimalpunkt, "
            "Spalten monat und umsatz. Welcher Monat war der beste, wie hoch war er, und wie hoch der ganze Umsatz?",
            in_month(best.start_time.date()),
            Number(float(months.max()), 2, "bester Monat"),
            Number(float(months.sum()), 2, "Umsatz"),
            table("umsatz.csv", {"umsatz": list(months)}),
        ),
    )
