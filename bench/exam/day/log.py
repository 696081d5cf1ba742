"""An event log in JSON Lines with a nested field: users, sessions, latencies, revenue."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
from bench.exam.day import sources
from bench.exam.day.asking import ask, largest, numbers, on_day, question
from bench.exam.day.checks import picture, table
from bench.exam.questions import Number, Question, Words
from bench.exam.writing import count

FILE = ("events.jsonl",)
PAUSE = pd.Timedelta(minutes=30)


def count_sessions(events: pd.DataFrame) -> int:
    """Count the sessions: a session ends when its user does nothing for more than half an hour."""
    pauses = events.sort_values(["user", "ts"], kind="stable").groupby("user")["ts"].diff()
    return int((pauses.isna() | (pauses > PAUSE)).sum())


def questions(folder: Path) -> list[Question]:
    events = sources.events(folder)
    events["day"] = events["ts"].dt.date
    return [*_users(events), *_activity(events), *_quality(events), _revenue(events[events["event"] == "purchase"])]


def _users(events: pd.DataFrame) -> list[Question]:
    kinds = events["event"].value_counts().sort_index()
    signed_up = set(events.loc[events["event"] == "signup", "user"])
    bought = set(events.loc[events["event"] == "purchase", "user"])
    days = events.groupby("user")["day"].nunique()
    return [
        question(
            "event-counts",
            FILE,
            ask(
                "events.jsonl is a log, one JSON object a line. How many events of each kind, and how many different users?",
                *(count(number, str(kind)) for kind, number in kinds.items()),
                count(events["user"].nunique(), "users"),
            ),
        ),
        question(
            "conversion",
            FILE,
            ask(
                "of the users with a signup in events.jsonl, what percentage has also bought something (a purchase event, before or after)? one "
                "decimal, and the two counts behind it",
                Number(100 * len(signed_up & bought) / len(signed_up), 1, "conversion %"),
                count(len(signed_up), "signed up"),
                count(len(signed_up & bought), "of these bought"),
            ),
        ),
        question(
            "aktive-nutzer",
            FILE,
            ask(
                "Wie viele Nutzer waren laut events.jsonl an mindestens fünf verschiedenen Tagen (UTC) aktiv, und wie viele nur an einem?",
                count(int((days >= 5).sum()), "mindestens fünf Tage"),
                count(int((days == 1).sum()), "ein Tag"),
            ),
        ),
    ]


def _activity(events: pd.DataFrame) -> list[Question]:
    active = events.groupby("day")["user"].nunique()
    sessions = count_sessions(events)
    return [
        question(
            "daily-active-users",
            FILE,
            ask(
                "Plot daily active users from events.jsonl (UTC days) as dau.png, and give me the average (1 decimal) and the day with the "
                "most with its number.",
                picture("dau.png"),
                Number(float(active.mean()), 1, "average"),
                on_day(largest(active)),
                count(int(active.max()), "most"),
            ),
        ),
        question(
            "sessions",
            FILE,
            ask(
                "Cut events.jsonl into sessions: same user, new session after more than 30 minutes without an event. How many sessions are "
                "there and how many events does one have on average, two decimals?",
                count(sessions, "sessions"),
                Number(len(events) / sessions, 2, "events a session"),
            ),
        ),
    ]


def _quality(events: pd.DataFrame) -> list[Question]:
    views = events.loc[events["event"] == "page_view", "ms"]
    failed = (events["event"] == "error").groupby(events["os"]).mean() * 100
    worst = str(largest(failed))
    return [
        question(
            "latency",
            FILE,
            ask(
                "Median, 95th percentile and maximum of ms for page_view events in events.jsonl (linear interpolation, one decimal)",
                Number(float(views.median()), 1, "median"),
                Number(float(views.quantile(0.95)), 1, "95th percentile"),
                count(int(views.max()), "maximum"),
            ),
        ),
        question(
            "errors-by-os",
            FILE,
            ask(
                "Which operating system has the most errors relative to all its events? events.jsonl, it's device.os. Percentages for all of "
                "them, two decimals.",
                Words((worst,)),
                *numbers(dict(failed.items()), 2),
            ),
        ),
    ]


def _revenue(purchases: pd.DataFrame) -> Question:
    systems = purchases.groupby("os")["amount"].sum()
    weeks = purchases.groupby(purchases["ts"].dt.strftime("%G-W%V"))["amount"].sum()
    days = purchases.groupby("day")["amount"].sum()
    high = float(purchases["amount"].quantile(0.9))
    usual = purchases[purchases["amount"] <= high]
    return question(
        "revenue-chain",
        FILE,
        ask(
            "How much revenue is in events.jsonl? amount of the purchase events. And how many purchases?",
            Number(float(purchases["amount"].sum()), 2, "revenue"),
            count(len(purchases), "purchases"),
        ),
        ask("by device os?", *numbers(dict(systems.items()), 2)),
        ask("and by week, Monday to Sunday, UTC?", *numbers(dict(weeks.items()), 2)),
        ask(
            "What's left overall without the purchases above the 90th percentile of amount (linear interpolation)?",
            Number(float(usual["amount"].sum()), 2, "without the largest"),
        ),
        ask(
            "ok. save the revenue per day, all purchases again, as revenue_by_day.csv (day, revenue)",
            table("revenue_by_day.csv", {"revenue": list(days)}),
        ),
    )
