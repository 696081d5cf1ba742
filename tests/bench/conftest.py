"""The files of an analyst's day, written once, and the questions about them."""

from __future__ import annotations

from pathlib import Path

import pytest
from bench.exam import day_files
from bench.exam.day import bars, customers, ledger, log, prices, spending, ticks, trading, unanswerable, vague
from bench.exam.questions import Question

TOPICS = (trading, prices, bars, ticks, ledger, customers, spending, log, vague, unanswerable)


@pytest.fixture(scope="session")
def day_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    written = tmp_path_factory.mktemp("day")
    day_files.write(written)
    return written


@pytest.fixture(scope="session")
def day_questions(day_folder: Path) -> dict[str, Question]:
    """Return the questions by their ids without the family."""
    found = [question for topic in TOPICS for question in topic.questions(day_folder)]
    by_id = {question.id.split("/")[1]: question for question in found}
    assert len(by_id) == len(found)
    return by_id
