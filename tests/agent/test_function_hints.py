"""The toolbox functions that a question mentions."""

from __future__ import annotations

import inspect
import subprocess
import sys

import pytest

from analystd.agent.function_hints import (
    MOST_FUNCTIONS,
    functions,
    functions_in,
    hint_for_failure,
    hints,
    toolbox_words,
    words_of,
)

TOLD_OTHERWISE = {"read"}
"""These come with the facts of a file that needs them."""
KNOWN_BY_HEART = {
    "join",
    "compare_means",
    "correlation",
    "fill_missing",
    "missing_table",
    "normality",
    "outliers_iqr",
    "outliers_zscore",
    "period_table",
    "regression",
    "returns",
    "save_plot",
    "skewness",
}
"""Models write these with pandas and scipy; the functions are for people."""


def told(question: str, *columns: str) -> list[str]:
    """Return the names of the offered functions, in order."""
    return [line[len("- toolbox.") :].partition("(")[0] for line in hints(question, columns).splitlines()[1:]]


@pytest.mark.parametrize(
    ("question", "wanted"),
    [
        ("How deep was the maximum drawdown?", "max_drawdown"),
        ("What is the annualized volatility of its log returns?", "annualised_volatility"),
        ("Wie hoch ist die annualisierte Volatilität?", "annualised_volatility"),
        ("Jahresvolatilitaet der Kurse?", "annualised_volatility"),
        ("Rolling 20-day correlation of A and B", "rolling_correlation"),
        ("Gleitende Korrelation über 20 Tage", "rolling_correlation"),
        ("Realised P&L by symbol, FIFO", "profit_and_loss"),
        ("Gewinn und Verlust je Symbol", "profit_and_loss"),
        ("Resample to daily OHLCV", "ohlcv"),
        ("VWAP by day", "vwap"),
        ("Sharpe ratio?", "sharpe_ratio"),
        ("Total with a grand total by region", "group_table"),
    ],
)
def test_a_question_is_told_of_the_function_that_it_asks_for(question: str, wanted: str) -> None:
    assert wanted in told(question)[:2]


@pytest.mark.parametrize(
    "question",
    [
        "How many rows does the file have?",
        "What is the mean price?",
        "Return the number of unique names.",
        "Wie viele Zeilen hat die Tabelle?",
        "Which region has the highest sales?",
        "Explain the last result.",
        "Fit an OLS model and test the residuals for normality.",
        "What is the 90th percentile, with linear interpolation?",
        "Which values are outliers by the IQR rule, and how many are missing?",
        "Spearman correlation of the daily returns?",
        "Volatility of the returns, i.e. their sample standard deviation?",
        "Revenue by month",
        "Merge both files and say what did not match",
        "",
    ],
)
def test_nothing_is_told_where_nothing_fits(question: str) -> None:
    assert hints(question, ["price", "region"]) == ""


def test_a_function_is_not_told_where_the_tables_lack_its_columns() -> None:
    question = "What are profit and loss by region?"
    assert told(question, "symbol", "side", "qty", "price") == ["profit_and_loss"]
    assert told(question, "Symbol", "Stückzahl", "Kaufkurs") == ["profit_and_loss"]
    assert told(question, "region", "profit") == []
    assert told(question) == ["profit_and_loss"], "with no table known, none is ruled out"


def test_only_a_handful_is_told() -> None:
    every = " ".join(phrase.replace("+", " ") for words in toolbox_words().values() for phrase in words.phrases)
    text = hints(every.replace("$", "").replace("*", ""), [])
    assert len(text.splitlines()) == 1 + MOST_FUNCTIONS
    assert len(text) < 330 * MOST_FUNCTIONS


def test_every_function_has_its_words_and_is_told_as_it_is_called() -> None:
    toolbox = pytest.importorskip("analystd.toolbox")
    public = {name for name in toolbox.__all__ if inspect.isfunction(getattr(toolbox, name))}
    assert set(functions()) == public
    assert set(toolbox_words()) == public - TOLD_OTHERWISE - KNOWN_BY_HEART
    for name, function in functions().items():
        signature = inspect.signature(getattr(toolbox, name))
        bare = [each.replace(annotation=inspect.Parameter.empty) for each in signature.parameters.values()]
        assert function.signature.startswith(f"toolbox.{name}(")
        names = [part.split("=")[0].strip(" *") for part in function.signature[len(f"toolbox.{name}(") : -1].split(",")]
        assert [part for part in names if part] == [each.name for each in bare]
        assert function.line.strip()


def test_words_are_compared_without_case_accents_and_umlauts() -> None:
    assert words_of("Größe, café & netRevenue_2024") == ["groesse", "cafe", "net", "revenue", "2024"]


@pytest.mark.parametrize("source", ["def f(:", "(" * 100_000, "def f(): pass\n\0", "", "def f():\n    pass", "x = 1"])
def test_a_source_that_is_none_has_no_functions(source: str) -> None:
    assert functions_in(source) == []


def test_functions_are_told_without_importing_pandas() -> None:
    code = "import sys\nfrom analystd.agent.function_hints import hints\nassert hints('drawdown', [])\nassert 'pandas' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60)


def test_a_program_that_uses_the_toolbox_wrongly_is_told_how_its_functions_are_called() -> None:
    hint = hint_for_failure(
        "r, p = toolbox.correlation(a, b)\ntoolbox.x", "TypeError: cannot unpack non-iterable TestResult"
    )
    assert hint is not None
    assert "toolbox.correlation(first, second" in hint
    assert ".p_value" in hint
    assert hint_for_failure("import pandas as pd\nprint(1 / 0)", "ZeroDivisionError: division by zero") is None


@pytest.mark.parametrize(
    "error",
    [
        "AttributeError: module 'toolbox' has no attribute 'load_csv' (line 4)",
        "ImportError: cannot import name 'load_csv' from 'toolbox' (/a/toolbox/__init__.py) (line 1)",
    ],
)
def test_of_a_function_that_is_not_there_all_names_are_told(error: str) -> None:
    hint = hint_for_failure("import toolbox\ntoolbox.load_csv('a.csv')", error)
    assert hint is not None
    assert hint.startswith("The toolbox has no load_csv; import it from the library that has it.")
    assert "vwap" in hint
