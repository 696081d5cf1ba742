"""The checks of files that the day's questions ask for: they open the file, accept a right one and reject a wrong one."""

from __future__ import annotations

import random
from collections.abc import Callable
from datetime import datetime, timedelta
from pathlib import Path

import numpy as np
import pytest
from bench.exam.day.checks import labelled, picture, random_walk, table
from bench.exam.questions import Made, Question
from matplotlib.figure import Figure
from PIL import Image

pytestmark = pytest.mark.slow

MONTHS = "month,amount\n2024-01,10.5\n2024-02,-3\n2024-03,1250.25\n"
AMOUNTS = (10.5, -3.0, 1250.25)
CLOSES = random_walk("walk.csv", rows=500, start=80.0, mean=0.0, deviation=0.01)


def drawn(file: Path, draw: Callable[[Figure], object]) -> None:
    figure = Figure()
    draw(figure)
    figure.savefig(file)


def test_every_check_refuses_what_is_missing_empty_or_something_else(
    tmp_path: Path, day_questions: dict[str, Question]
) -> None:
    asked = [turn for question in day_questions.values() for turn in question.turns]
    made = [each for turn in asked for each in turn.expected if isinstance(each, Made)]
    assert len(made) > 20
    for number, each in enumerate(made):
        workspace = tmp_path / str(number)
        workspace.mkdir()
        missing = each.check(workspace)
        assert missing is not None and missing.endswith("was not made")
        file = workspace / missing.split()[0]
        for content in (b"", b"\x00\xff" * 50, b"a,b\n1,2\n", b"a;b\n1;2\n"):
            file.write_bytes(content)
            assert each.check(workspace) is not None, (file.name, content)
        drawn(file.with_suffix(".png"), lambda figure: figure.subplots())
        assert each.check(workspace) is not None, file.name


@pytest.mark.parametrize(
    "content",
    [
        MONTHS,
        MONTHS + "Total,1257.75\n",
        ",month,amount\n0,2024-01,10.5\n1,2024-02,-3\n2,2024-03,1250.25\n",
        "amount\n10.50\n-3.00\n1250.25\n",
        "month,Amount,share\n1,10.5,0.1\n2,-3,\n3,1250.3,0.9\n",
    ],
)
def test_a_table_with_the_values_is_taken(tmp_path: Path, content: str) -> None:
    (tmp_path / "out.csv").write_text(content)
    assert table("out.csv", {"amount": AMOUNTS}).check(tmp_path) is None
    assert table("out.csv", {"*amounts": AMOUNTS}).check(tmp_path) is None


@pytest.mark.parametrize(
    "content",
    [
        "month,amount\n2024-01,10.5\n2024-02,-3\n",
        "month,amount\n2024-01,10.5\n2024-02,3\n2024-03,1250.25\n",
        "month,amount\n2024-02,-3\n2024-01,10.5\n2024-03,1250.25\n",
        "month,amount\n2024-01,10.5\n2024-02,-3\n2024-03,1252\n",
        "month;amount\n2024-01;10,5\n2024-02;-3\n2024-03;1250,25\n",
        MONTHS + "2024-04,7\n",
    ],
)
def test_a_table_with_other_values_is_refused(tmp_path: Path, content: str) -> None:
    (tmp_path / "out.csv").write_text(content)
    assert table("out.csv", {"*amounts": AMOUNTS}).check(tmp_path) is not None


def test_a_column_that_was_named_has_to_have_that_name(tmp_path: Path) -> None:
    (tmp_path / "out.csv").write_text(MONTHS)
    assert "no column 'net'" in str(table("out.csv", {"net": AMOUNTS}).check(tmp_path))


def test_a_european_table_needs_semicolons_and_decimal_commas(tmp_path: Path) -> None:
    asked = table("out.csv", {"Betrag": (1.5, 2.25)}, delimiter=";", decimal=",")
    (tmp_path / "out.csv").write_text("Quartal;Betrag\nQ1;1,5\nQ2;2,25\n")
    assert asked.check(tmp_path) is None
    for wrong in ("Quartal,Betrag\nQ1,1.5\nQ2,2.25\n", "Quartal;Betrag\nQ1;1.5\nQ2;2.25\n"):
        (tmp_path / "out.csv").write_text(wrong)
        assert asked.check(tmp_path) is not None


def test_rows_with_labels_may_come_in_any_order(tmp_path: Path) -> None:
    asked = labelled("out.csv", {"A": (1.0, 2.5), "B": (3.0, -4.0)})
    for content, right in (
        ("name,x,y\nB,3,-4\nA,1,2.5\n", True),
        ("name,x,y\nA,1,2.5\nB,3,-4\ntotal,4,-1.5\n", True),
        ("name,x,y\nA,3,-4\nB,1,2.5\n", False),
        ("name,x,y\nA,1,2.5\n", False),
        ("name,x,y\nA,1,2.5\nB,3,-4\nC,5,6\n", False),
        ("name,x,y\nA,1,2.5\nA,3,-4\n", False),
    ):
        (tmp_path / "out.csv").write_text(content)
        assert (asked.check(tmp_path) is None) is right, content


def walk(closes: list[float], minutes: int = 1) -> str:
    start = datetime(2024, 1, 1)
    return "timestamp,close\n" + "".join(
        f"{start + timedelta(minutes=minutes * at)},{close}\n" for at, close in enumerate(closes)
    )


def closes(rows: int, deviation: float) -> list[float]:
    draw = random.Random(3)
    found = [80.0]
    while len(found) < rows:
        found.append(found[-1] * (1 + draw.gauss(0, deviation)))
    return found


def test_a_random_walk_has_its_length_start_deviation_and_times(tmp_path: Path) -> None:
    right = closes(500, 0.01)
    for content, taken in (
        (walk(right), True),
        (walk(right[:499]), False),
        (walk([2 * close for close in right]), False),
        (walk(closes(500, 0.02)), False),
        (walk([80.0] * 500), False),
        (walk(right, minutes=0), False),
        (walk(right).replace("close", "price"), False),
        (walk([-close for close in right]), False),
    ):
        (tmp_path / "walk.csv").write_text(content)
        assert (CLOSES.check(tmp_path) is None) is taken, CLOSES.check(tmp_path)


@pytest.mark.parametrize(
    "draw",
    [
        lambda figure: figure.subplots().plot(range(9)),
        lambda figure: figure.subplots().bar(["a", "b"], [3, 5], color="black"),
        lambda figure: figure.subplots().hist(np.sin(np.arange(300))),
        lambda figure: figure.subplots().scatter(range(40), range(40)),
    ],
)
def test_a_picture_with_something_drawn_is_taken(tmp_path: Path, draw: Callable[[Figure], object]) -> None:
    drawn(tmp_path / "chart.png", draw)
    assert picture("chart.png").check(tmp_path) is None


def test_a_picture_of_nothing_is_refused(tmp_path: Path) -> None:
    for draw in (
        lambda figure: None,
        lambda figure: figure.subplots().set_title("Fees"),
        lambda figure: figure.set_facecolor("red"),
    ):
        drawn(tmp_path / "chart.png", draw)
        assert "nothing between its axes" in str(picture("chart.png").check(tmp_path))


def test_a_picture_cut_short_is_refused(tmp_path: Path) -> None:
    drawn(tmp_path / "chart.png", lambda figure: figure.subplots().plot(range(9)))
    (tmp_path / "chart.png").write_bytes((tmp_path / "chart.png").read_bytes()[:900])
    assert "no picture that can be opened" in str(picture("chart.png").check(tmp_path))


@pytest.mark.parametrize("size", [(60, 400), (8000, 8000)])
def test_a_picture_too_small_or_too_large_is_refused(tmp_path: Path, size: tuple[int, int]) -> None:
    Image.new("1", size).save(tmp_path / "chart.png")
    assert f"has {size[0]} x {size[1]} pixels" in str(picture("chart.png").check(tmp_path))
