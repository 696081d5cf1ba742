from __future__ import annotations

import base64
from pathlib import Path

import pytest

from analystd.client import Display

PIXEL = base64.b64decode(
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="
)
PLOT = Display.of({"image/png": base64.b64encode(PIXEL).decode(), "text/plain": "<Figure>", "application/json": [1]})


def test_a_picture_is_saved_as_the_bytes_that_it_is(tmp_path: Path) -> None:
    assert PLOT.png == PIXEL
    assert PLOT.save(tmp_path / "plot.PNG").read_bytes() == PIXEL


def test_each_form_is_saved_under_its_own_ending(tmp_path: Path) -> None:
    assert PLOT.save(tmp_path / "plot.txt").read_text() == "<Figure>"
    assert PLOT.save(str(tmp_path / "plot.json")).read_text() == "[1]"


def test_a_form_that_is_not_there_is_refused_with_those_that_are(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"no image/svg.xml; it has application/json, image/png, text/plain"):
        PLOT.save(tmp_path / "plot.svg")
    with pytest.raises(ValueError, match=r"plot.tiff does not end in one of .*\.png"):
        PLOT.save(tmp_path / "plot.tiff")
    assert Display.of({"text/html": "<table>"}).png is None
