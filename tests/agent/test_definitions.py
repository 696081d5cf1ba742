"""The definitions that a question gets, and that their code runs and returns what they say."""

from __future__ import annotations

import re
import statistics
from typing import Any

import numpy as np
import pandas as pd
import pytest
import scipy.stats

from analystd.agent.definitions import MOST_DEFINITIONS, NamedColumns, definitions, named_columns
from analystd.agent.prompt import packaged_pairs
from analystd.agent.value_hints import Contents

CODE = re.compile(r"`([^`]+)`")


@pytest.mark.parametrize(
    ("question", "code"),
    [
        ("What is the population standard deviation of age?", "column.std(ddof=0)"),
        ("Mean and standard deviation (population) of age", "column.std(ddof=0)"),
        ("Is fare normally distributed by the Shapiro-Wilk test?", "scipy.stats.shapiro"),
        ("Welch's t-test, p-value?", "equal_var=False"),
        ("Which column has the strongest correlation with price?", '.drop("x")'),
        ("Outliers by the IQR rule", "quantile([0.25, 0.75])"),
        ("Wie groß ist die Schiefe?", "column.skew()"),
        ("Welcher Anteil der Kunden ist aktiv?", "condition.mean()"),
        ("Is the correlation significant at 5 %?", "pearsonr"),
        ("Umsatz pro Monat", "dates.dt.to_period"),
        ("Revenue by month", "dates.dt.to_period"),
        ("By what percentage did it fall?", "(new - old) / old"),
        ("How many days in a row did it rain?", "condition.shift()"),
        ("Slope of a line through the origin?", 'df[["x"]], missing'),
        ("At which hour of the day is it warmest?", "dates.dt.hour"),
        ("Resample to weeks ending on Friday", 'resample("W")'),
        ("In which month were sales lowest in total?", "dates.dt.month"),
        ("Which region has the lowest total?", '["value"].agg("sum")'),
        ("Which region has the highest median?", '["value"].agg("median")'),
        ("Which kind is second most common?", "counts.index[1]"),
        ("Count all missing cells of the table", "df.isna().sum().sum()"),
        ("Rows of orders without a match in customers?", '.isin(other["group"])'),
        ("Which region has the highest average price?", '["value"].agg("mean")'),
        ("Kruskal-Wallis test by region", "scipy.stats.kruskal"),
        ("How many names begin with A?", "str.startswith"),
    ],
)
def test_a_question_is_told_how_its_figure_is_computed(question: str, code: str) -> None:
    assert code in definitions(question)


@pytest.mark.parametrize(
    "question", ["", "What is the mean price?", "How many rows are there?", "Which city is the largest?"]
)
def test_plain_questions_are_told_nothing(question: str) -> None:
    assert definitions(question) == ""


def test_only_a_few_are_told() -> None:
    every = " ".join(
        phrases.replace(",", " ").replace("+", " ").replace("$", "") for phrases, _ in packaged_pairs("definitions.txt")
    )
    assert len(definitions(every).splitlines()) == 1 + MOST_DEFINITIONS


def names() -> dict[str, Any]:
    column = pd.Series([2.0, 4.0, 4.0, 5.0, 7.0, 9.0, 30.0, None])
    x, y = pd.Series([1.0, 2, 3, 4]), pd.Series([2.1, 3.9, 6.2, 7.8])
    group, kind = ["a", "a", "b", "b"], ["u", "v", "u", "u"]
    return {
        "np": np, "pd": pd, "scipy": scipy,
        "column": column, "price": column.dropna(), "values": x, "weights": y, "a": x, "b": y, "x": x, "y": y,
        "actual": x, "predicted": y, "condition": column > 4, "first": 100.0, "last": 121.0, "years": 2, "k": 1.5, "window": 3,
        "df": pd.DataFrame({
            "x": x, "y": y, "z": [3.0, 1, 4, 1], "group": group, "kind": kind, "value": [1.0, 2.5, 3.5, 9.0],
            "day": ["2024-01-30", "2024-02-01", "2024-02-29", "2025-01-01"],
            "end": ["2024-02-01", "2024-02-01", "2024-03-01", "2026-01-01"],
        }),
        "other": pd.DataFrame({"group": ["a", "c"]}), "texts": pd.Series(["[98] kg", "about 12.5", "Ann Lee 7", None]),
        "old": 80.0, "new": 60.0, "monthly": pd.Series(range(1, 27), dtype=float), "totals": x,
    }  # fmt: skip


@pytest.mark.filterwarnings("ignore:divide by zero")  # Levene's test of two values each
@pytest.mark.parametrize("sentence", [sentence for _, sentence in packaged_pairs("definitions.txt")])
def test_the_code_of_each_sentence_runs(sentence: str) -> None:
    codes = CODE.findall(sentence)
    assert codes
    space = names()
    for code in codes:
        exec(code, space)


@pytest.mark.parametrize(
    ("code", "expected"),
    [
        ("column.std(ddof=0)", statistics.pstdev([2, 4, 4, 5, 7, 9, 30])),
        ("column.std()", statistics.stdev([2, 4, 4, 5, 7, 9, 30])),
        ("(column - column.median()).abs().median()", 2.0),
        ("np.exp(np.log(column.dropna()).mean())", statistics.geometric_mean([2, 4, 4, 5, 7, 9, 30])),
        ("(last / first) ** (1 / years) - 1", 0.1),
        ("((actual - predicted) ** 2).mean() ** 0.5", ((1.1**2 + 1.9**2 + 3.2**2 + 3.8**2) / 4) ** 0.5),
        ("100 * condition.mean()", 50.0),
        ("column.kurt()", scipy.stats.kurtosis([2, 4, 4, 5, 7, 9, 30], bias=False)),
        ("column.skew()", scipy.stats.skew([2, 4, 4, 5, 7, 9, 30], bias=False)),
        ("100 * (new - old) / old", -25.0),
        ("len(df.dropna())", 4),
        ("column.nlargest(2).iloc[-1]", 9.0),
        ("column.value_counts().idxmax()", 4.0),
        ("column.value_counts().max()", 2),
        ("(column.value_counts() == 1).sum()", 5),
        ("price.iloc[-1] / price.iloc[0] - 1", 14.0),
        ("((values / values.sum()) ** 2).sum()", 0.3),
        ("scipy.stats.hmean(values)", statistics.harmonic_mean([1, 2, 3, 4])),
        ("scipy.stats.entropy(column.value_counts(), base=2)", 2.5216406),
        ("column.quantile(0.9)", 17.4),
    ],
)  # fmt: skip
def test_what_the_code_gives_is_the_figure(code: str, expected: float) -> None:
    assert any(code in CODE.findall(sentence) for _, sentence in packaged_pairs("definitions.txt"))
    assert eval(code, names()) == pytest.approx(expected)


@pytest.mark.parametrize(
    ("code", "expected"),
    [
        ('df[df["kind"].str.startswith("u", na=False)]["value"]', [1.0, 3.5, 9.0]),
        ('df[df["value"] > df["value"].mean()]["value"]', [9.0]),
        ('df[df["value"] > df.groupby("group")["value"].transform("mean")]["value"]', [2.5, 9.0]),
        ('df.loc[df.groupby("group")["value"].idxmax()]["value"]', [2.5, 9.0]),
        ('(pd.to_datetime(df["end"]) - pd.to_datetime(df["day"])).dt.days', [2, 0, 1, 365]),
        ('df.groupby("group")["value"].sum() / df["value"].sum()', [3.5 / 16, 12.5 / 16]),
        ('texts.str.extract(r"(\\d+\\.?\\d*)", expand=False).astype(float).dropna()', [98.0, 12.5, 7.0]),
        ("texts.str.split().str.len().dropna()", [2, 2, 3]),
        ('column.clip(*column.quantile([0.05, 0.95])).iloc[[0, 6]]', [2.6, 23.7]),
    ],
)  # fmt: skip
def test_what_the_code_gives_are_the_rows(code: str, expected: list[float]) -> None:
    assert list(eval(code, names())) == pytest.approx(expected)


@pytest.mark.parametrize(
    ("begins", "expected"),
    [("Rows whose key", 1), ("Second most frequent", 1), ("Missing cells", 2)],
)
def test_what_several_lines_of_code_give_is_the_figure(begins: str, expected: int) -> None:
    sentence = next(each for _, each in packaged_pairs("definitions.txt") if each.startswith(begins))
    codes, space = CODE.findall(sentence), names()
    space["df"] = pd.DataFrame({"group": ["a", "b", "b", None], "value": [1, 2, 3, None]})
    space["other"] = pd.DataFrame({"group": ["a", None]})
    if begins == "Missing cells":
        assert eval(codes[0], space) == expected
        return
    exec(codes[0], space)
    assert eval(codes[-1], space) == expected


def test_the_longest_run_is_counted() -> None:
    sentence = next(each for _, each in packaged_pairs("definitions.txt") if each.startswith("Longest run"))
    space = {"df": pd.DataFrame({"x": [None, 1, None, None, None, 2, None, None]})}
    first, second, last = CODE.findall(sentence)
    exec(f"{first}\n{second}", space)
    assert eval(last, space) == 3


def test_the_gini_coefficient_and_cohens_d_are_as_defined() -> None:
    space = names()
    sentences = {sentence.partition(":")[0]: sentence for _, sentence in packaged_pairs("definitions.txt")}
    for name, expected in (("Gini coefficient", 0.25), ("Cohen's d", -2.5 / ((5 / 3 + 6.3) / 2) ** 0.5)):
        first, last = CODE.findall(sentences[name])
        exec(first, space)
        assert eval(last, space) == pytest.approx(expected), name


SALES = Contents(
    numbers={"sales.csv": ("year", "Sales", "unit price", "n")},
    columns={"sales.csv": ("day", "Region", "Sales", "unit price", 'a "b"', "n", "year")},
    dates={"sales.csv": ("day",)},
)


@pytest.mark.parametrize(
    ("question", "named"),
    [
        ("mean sales by region", NamedColumns("Sales", "Region", "day")),
        ("Do the unit prices of regions differ?", NamedColumns("unit price", "Region", "day")),
        ("Regress unit price on Sales and year", NamedColumns(None, None, "day", "unit price", ("Sales", "year"))),
        ('Region or a "b"?', NamedColumns(None, None, "day")),
        ("Salesmen, regional, N", NamedColumns(None, None, "day")),
        ("the mean of n", NamedColumns("n", None, "day")),
    ],
)
def test_columns_that_a_question_names_have_a_part(question: str, named: NamedColumns) -> None:
    assert named_columns(question, SALES) == named
    two = Contents(numbers=SALES.numbers, columns={**SALES.columns, "b.csv": ("x",)}, dates=SALES.dates)
    assert named_columns(question, two) == NamedColumns()


def test_named_columns_stand_in_the_code() -> None:
    assert 'part["Sales"].dropna() for _, part in df.groupby("Region")' in definitions(
        "Kruskal test of sales by region", SALES
    )
    assert 'counts = df["Region"].value_counts()' in definitions("Which region is second most common?", SALES)
    assert '`df["Sales"].std(ddof=0)`' in definitions("population standard deviation of Sales", SALES)
    regression = definitions("OLS of Sales on year and unit price", SALES)
    assert 'sm.OLS(df["Sales"], sm.add_constant(df[["year", "unit price"]])' in regression
    assert 'sm.OLS(df["Sales"], sm.add_constant(df[["year"]])' in definitions("OLS of Sales on year", SALES)
    assert 'pd.to_datetime(df["day"])' in definitions("Sales by month", SALES)
    quoted = Contents(columns={"a.csv": ('a "b"',)})
    assert r'groupby("a \"b\"")' in definitions('Kruskal test by a "b"', quoted)


@pytest.mark.parametrize(
    ("question", "told"),
    [
        ("Survival in 1st, 2nd and 3rd class?", True),
        ("Survival of Third and second?", True),
        ("Survival in the 1st class?", False),
        ("Survival in the 1ST and 2ND class?", False),
        ("a and b?", False),
    ],
)
def test_several_values_of_a_column_are_a_figure_for_each(question: str, told: bool) -> None:
    contents = Contents(values={"a.csv": {"class": ("1st", "2nd", "3rd", "second", "third"), "letter": ("a", "b")}})
    assert ('df.groupby("class")' in definitions(question, contents)) == told
