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


def test_a_link_of_that_name_is_replaced_and_not_followed(tmp_path: Path) -> None:
    outside = tmp_path / "outside.txt"
    outside.write_text("theirs")
    (tmp_path / "plot.txt").symlink_to(outside)
    (tmp_path / "new.txt").symlink_to(tmp_path / "nowhere.txt")
    for name in ("plot.txt", "new.txt"):
        PLOT.save(tmp_path / name)
        assert not (tmp_path / name).is_symlink()
        assert (tmp_path / name).read_text() == "<Figure>"
    assert outside.read_text() == "theirs"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["new.txt", "outside.txt", "plot.txt"]


def test_a_display_that_cannot_be_saved_leaves_what_was_there(tmp_path: Path) -> None:
    (tmp_path / "plot.txt").mkdir()
    with pytest.raises(IsADirectoryError):
        PLOT.save(tmp_path / "plot.txt")
    with pytest.raises(FileNotFoundError):
        PLOT.save(tmp_path / "nowhere/plot.txt")
    assert [path.name for path in tmp_path.iterdir()] == ["plot.txt"]
    assert list((tmp_path / "plot.txt").iterdir()) == []


def test_a_saved_display_has_the_rights_of_any_new_file(tmp_path: Path) -> None:
    (tmp_path / "usual").touch()
    assert PLOT.save(tmp_path / "plot.txt").stat().st_mode == (tmp_path / "usual").stat().st_mode
