"""Customers with messy names, their orders and invoices: joins, cleaning, the largest customers, unpaid invoices."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
from bench.exam.day import sources
from bench.exam.day.asking import ask, in_month, largest, numbers, question
from bench.exam.day.bars import outside_fences
from bench.exam.day.checks import labelled, picture, table
from bench.exam.questions import Number, Question, Words
from bench.exam.writing import count

_JOINED = ("customers.csv", "orders.csv")
_INVOICES = ("invoices.csv",)


def as_written(name: str) -> Words:
    """Expect a customer's name in any of the typed forms."""
    return Words((name, name.removesuffix("."), name.replace(" & ", " and ")))


def questions(folder: Path) -> list[Question]:
    customers, orders, invoices = sources.customers(folder), sources.orders(folder), sources.invoices(folder)
    joined = orders.merge(customers, on="customer_id", how="inner")
    return [
        *_matches(customers, orders),
        *_revenue(joined, orders),
        _orders_chain(orders),
        *_largest(invoices),
        *_payments(invoices),
        _invoices_chain(invoices),
    ]


def _matches(customers: pd.DataFrame, orders: pd.DataFrame) -> list[Question]:
    lost = orders[~orders["customer_id"].isin(customers["customer_id"])]
    silent = customers[~customers["customer_id"].isin(orders["customer_id"])]
    return [
        question(
            "join-report",
            _JOINED,
            ask(
                "Join orders.csv to customers.csv on customer_id. How many orders have no customer, what do they add up to, and which "
                "customer_ids are these?",
                count(len(lost), "orders"),
                Number(float(lost["amount"].sum()), 2, "amount"),
                *(Words((str(name),)) for name in sorted(set(lost["customer_id"]))),
            ),
        ),
        question(
            "never-ordered",
            _JOINED,
            ask(
                "who in customers.csv never ordered anything (orders.csv)? how many, and save their rows as never_ordered.csv",
                count(len(silent), "customers"),
                labelled("never_ordered.csv", {str(name): () for name in silent["customer_id"]}),
            ),
        ),
    ]


def _revenue(joined: pd.DataFrame, orders: pd.DataFrame) -> list[Question]:
    kept = joined[joined["status"] == "shipped"]
    countries = kept.groupby("country")["amount"].sum()
    segments = kept.groupby(kept["segment"].fillna("none"))["amount"].mean()
    returned = 100 * float((orders["status"] == "returned").mean())
    top = orders.groupby("customer_id")["amount"].sum().nlargest(10)
    return [
        question(
            "revenue-by-country",
            _JOINED,
            ask(
                "Revenue by country, shipped orders only, orders without a known customer left out. orders.csv and customers.csv, two decimals, "
                "biggest first.",
                *numbers(dict(countries.items()), 2),
            ),
        ),
        question(
            "average-by-segment",
            _JOINED,
            ask(
                "What's the average shipped order by customer segment? Some customers have no segment, show these as a group of their own. "
                "Data: orders.csv + customers.csv; ignore orders with unknown customers or without an amount.",
                *numbers(dict(segments.items())),
            ),
        ),
        question(
            "concentration",
            ("orders.csv",),
            ask(
                "How dependent are we on our ten biggest customers? Their share of the sum of amount in orders.csv, all statuses, in percent "
                "with one decimal. And the share of orders that were returned (by count), same format.",
                Number(100 * float(top.sum() / orders["amount"].sum()), 1, "share of ten %"),
                Number(returned, 1, "returned %"),
            ),
        ),
    ]


def _orders_chain(orders: pd.DataFrame) -> Question:
    def monthly(rows: pd.DataFrame) -> dict[str, float]:
        sums = rows.groupby(rows["ordered"].dt.to_period("M"))["amount"].sum()
        return {str(month): float(value) for month, value in sums.items()}

    odd = outside_fences(orders["amount"].dropna())
    calm = orders[orders["amount"].notna() & ~odd.reindex(orders.index, fill_value=False)]
    shipped = calm[calm["status"] == "shipped"]
    return question(
        "orders-chain",
        ("orders.csv",),
        ask(
            "orders.csv: how many orders, how many have no amount, and what do the amounts sum to?",
            count(len(orders), "orders"),
            count(int(orders["amount"].isna().sum()), "without amount"),
            Number(float(orders["amount"].sum()), 2, "sum"),
        ),
        ask("and by month?", *numbers(monthly(orders), 2)),
        ask(
            "now without the outliers, 1.5 x IQR on amount over all orders. how many are dropped, and the months again",
            count(int(odd.sum()), "outliers"),
            *numbers(monthly(calm), 2),
        ),
        ask("of these only the shipped ones", *numbers(monthly(shipped), 2)),
        ask(
            "save that as shipped_by_month.csv",
            table("shipped_by_month.csv", {"*amounts": list(monthly(shipped).values())}),
        ),
    )


def _largest(invoices: pd.DataFrame) -> list[Question]:
    sums = invoices.groupby("customer")["amount"].sum().nlargest(5)
    busiest = invoices["customer"].value_counts()
    return [
        question(
            "top-customers",
            _INVOICES,
            ask(
                "Top 5 customers by invoiced amount from invoices.csv. The names are a mess: the same customer turns up in different case, "
                "with extra spaces, with or without a full stop at the end. Clean that first. Amounts are text with $ and commas.",
                *(as_written(str(name)) for name in sums.index),
                *numbers(dict(sums.items()), 2),
            ),
        ),
        question(
            "how-many-customers",
            _INVOICES,
            ask(
                "How many different customers are really in invoices.csv once capitals, surplus spaces and trailing full stops don't count? "
                "And how many invoices does the one with the most have?",
                count(len(busiest), "customers"),
                count(int(busiest.iloc[0]), "invoices"),
            ),
        ),
        question(
            "rechnungen",
            _INVOICES,
            ask(
                "invoices.csv: Durchschnitt und Median der Rechnungsbeträge auf zwei Stellen, bitte (Beträge stehen als Text mit $ drin).",
                Number(float(invoices["amount"].mean()), 2, "Durchschnitt"),
                Number(float(invoices["amount"].median()), 2, "Median"),
            ),
        ),
    ]


def _payments(invoices: pd.DataFrame) -> list[Question]:
    unpaid = invoices[invoices["paid"].isna()]
    days = (invoices["paid"] - invoices["issued"]).dt.days.dropna()
    late = int((days > 30).sum())
    return [
        question(
            "unpaid",
            _INVOICES,
            ask(
                "What's still outstanding? Number and sum of the invoices in invoices.csv without a paid date.",
                count(len(unpaid), "unpaid"),
                Number(float(unpaid["amount"].sum()), 2, "outstanding"),
            ),
        ),
        question(
            "days-to-pay",
            _INVOICES,
            ask(
                "Average days from issued to paid in invoices.csv, paid ones only, one decimal; how many took more than 30 days; and a "
                "histogram of the days as days_to_pay.png",
                Number(float(days.mean()), 1, "days"),
                count(late, "late"),
                picture("days_to_pay.png"),
            ),
        ),
    ]


def _invoices_chain(invoices: pd.DataFrame) -> Question:
    months = invoices.groupby(invoices["issued"].dt.to_period("M"))["amount"].sum()
    best = largest(months)
    sums = invoices.groupby("customer")["amount"].sum()
    name = str(largest(sums))
    own = invoices[invoices["customer"] == name]
    return question(
        "invoices-chain",
        _INVOICES,
        ask(
            "Total invoiced in invoices.csv? amount is text like $1,234.50.",
            Number(float(invoices["amount"].sum()), 2, "total"),
        ),
        ask("Per month of issue?", *numbers(dict(months.items()), 2)),
        ask("Strongest month?", in_month(best.start_time.date()), Number(float(months.max()), 2)),
        ask(
            "Who is the largest customer overall, if names that differ in case, spaces or a final full stop are one? With the sum.",
            as_written(name),
            Number(float(sums.max()), 2),
        ),
        ask(
            "Save that customer's invoices as largest.csv: invoice, issued, amount as a number.",
            labelled("largest.csv", {str(row.invoice): (float(str(row.amount)),) for row in own.itertuples()}),
        ),
    )
