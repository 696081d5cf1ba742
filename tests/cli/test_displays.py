"""What displays look like in a terminal."""

from __future__ import annotations

from pathlib import Path

import pytest

from analystd.cli.displays import display_note, display_text, save_displays
from analystd.wire.errors import WorkspaceError

RUN = "run_1_00000000"
HOW = f"; `analystd show {RUN} --save DIR` saves it]"


def test_a_table_is_its_text_and_needs_no_note() -> None:
    bundle = {"text/plain": "   a\n0  1", "text/html": "<table>"}
    assert (display_text(bundle), display_note(bundle, RUN)) == ("   a\n0  1", "")


def test_text_that_only_names_an_object_is_replaced_by_what_can_be_read() -> None:
    bundle = {"text/plain": "<IPython.core.display.Markdown object>", "text/markdown": "# Title"}
    assert (display_text(bundle), display_note(bundle, RUN)) == ("# Title", "")


def test_what_cannot_be_read_here_is_told_with_a_way_to_save_it() -> None:
    html = {"text/plain": "<IPython.core.display.HTML object>", "text/html": "<p>"}
    assert display_note(html, RUN) == "[display: text/html" + HOW
    assert display_note({"image/png": "", "text/plain": "<Figure>"}, RUN) == "[display: image/png" + HOW
    assert display_note({"application/x": ""}, RUN) == "[display: application/x]"


def test_types_that_a_program_makes_up_are_inert_and_few() -> None:
    note = display_note({f"image/{number}\x1b]0;t\x07\n{'x' * 1000}": "" for number in range(1000)}, RUN)
    assert "\x1b" not in note
    assert "\n" not in note
    assert len(note) < 1000


def test_what_is_no_base64_is_saved_as_it_is(tmp_path: Path) -> None:
    (path,) = save_displays([{"image/png": "![x](y)"}], RUN, tmp_path)
    assert path.read_bytes() == b"![x](y)"


def test_a_folder_that_cannot_be_made_is_told(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(WorkspaceError, match=r"cannot be written: (Not a directory|File exists)"):
        save_displays([{"text/plain": "x"}], RUN, tmp_path / "file")
