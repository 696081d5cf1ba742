"""The exam's rehearsal: the agent leads an erring model to right answers, and fails to without one of its ingredients."""

from __future__ import annotations

from pathlib import Path

import pytest
from bench.exam.ingredients import INGREDIENTS
from bench.exam.rehearsal import Scene, perform, scenes, write_table

pytestmark = pytest.mark.slow

TOUCHED = {
    "facts": ("facts", "refused"),
    "mending": ("mending", "refused"),
    "column-hints": ("column-hint", "refused"),
    "error-hints": ("error-hint", "refused"),
    "doubts": ("missing-result", "refused"),
    "rewriting": ("old-pandas", "refused"),
    "toolbox-hints": ("toolbox-hint", "refused"),
    "definitions": ("definition", "refused"),
    "number-check": ("number-check", "wrong"),
    "programs": ("facts", "refused"),
}
"""The scene that fails without each ingredient, and its verdict then."""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("rehearsal")


@pytest.fixture(scope="module")
def by_name(folder: Path) -> dict[str, Scene]:
    return {scene.name.removeprefix("rehearsal/"): scene for scene in scenes(write_table(folder))}


NAMES = (
    "facts column-hint mending error-hint missing-result old-pandas toolbox-hint definition prose silence own-call thought number-check "
    "wrong-column given-up not-there file follow-up"
)


@pytest.mark.parametrize("name", NAMES.split())
def test_a_scene_comes_out_as_it_should(name: str, by_name: dict[str, Scene], folder: Path) -> None:
    outcome = perform(by_name[name], folder)
    assert outcome.verdict == by_name[name].wanted, outcome.turns


def test_every_scene_is_performed(by_name: dict[str, Scene]) -> None:
    assert list(by_name) == NAMES.split()


@pytest.mark.parametrize("ingredient", INGREDIENTS)
def test_an_ingredient_that_is_taken_away_is_missed(ingredient: str, by_name: dict[str, Scene], folder: Path) -> None:
    name, verdict = TOUCHED[ingredient]
    outcome = perform(by_name[name], folder, (ingredient,))
    assert outcome.verdict == verdict, outcome.turns
    assert verdict != by_name[name].wanted
