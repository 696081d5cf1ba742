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


def test_text_that_only_names_an_object_is_replaced_by_a_readable_form() -> None:
    bundle = {"text/plain": "<IPython.core.display.Markdown object>", "text/markdown": "# Title"}
    assert (display_text(bundle), display_note(bundle, RUN)) == ("# Title", "")


def test_a_display_that_a_terminal_cannot_show_has_a_note_on_saving_it() -> None:
    html = {"text/plain": "<IPython.core.display.HTML object>", "text/html": "<p>"}
    assert display_note(html, RUN) == "[display: text/html" + HOW
    assert display_note({"image/png": "", "text/plain": "<Figure>"}, RUN) == "[display: image/png" + HOW
    assert display_note({"application/x": ""}, RUN) == "[display: application/x]"


def test_invented_types_are_inert_and_limited_in_number() -> None:
    note = display_note({f"image/{number}\x1b]0;t\x07\n{'x' * 1000}": "" for number in range(1000)}, RUN)
    assert "\x1b" not in note
    assert "\n" not in note
    assert len(note) < 1000


def test_invalid_base64_is_saved_unchanged(tmp_path: Path) -> None:
    (path,) = save_displays([{"image/png": "![x](y)"}], RUN, tmp_path)
    assert path.read_bytes() == b"![x](y)"


def test_a_folder_that_cannot_be_created_is_reported(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(WorkspaceError, match=r"cannot be written: (Not a directory|File exists)"):
        save_displays([{"text/plain": "x"}], RUN, tmp_path / "file")
