"""Which figures a question is told how to compute, and that the code that it is told runs and gives what it says."""

from __future__ import annotations

import re
import statistics
from typing import Any

import numpy as np
import pandas as pd
import pytest
import scipy.stats

from analystd.agent.definitions import MOST_DEFINITIONS, definitions
from analystd.agent.prompt import packaged_pairs

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
        "df": pd.DataFrame({"x": x, "y": y, "z": [3.0, 1, 4, 1], "group": group, "kind": kind, "value": [1.0, 2.5, 3.5, 9.0]}),
    }  # fmt: skip


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
    ],
)  # fmt: skip
def test_what_the_code_gives_is_the_figure(code: str, expected: float) -> None:
    assert any(code in CODE.findall(sentence) for _, sentence in packaged_pairs("definitions.txt"))
    assert eval(code, names()) == pytest.approx(expected)
