"""The demonstration writes in a workspace whose code may have been there before."""

from __future__ import annotations

from pathlib import Path

from analystd.cli.demo import write_bars


def test_a_link_in_place_of_the_draft_is_not_followed(tmp_path: Path) -> None:
    precious = tmp_path / "precious"
    precious.write_text("mine")
    (tmp_path / "bars.draft").symlink_to(precious)
    (tmp_path / "bars.csv").symlink_to(precious)
    write_bars(tmp_path / "bars.csv", bars=2)
    assert precious.read_text() == "mine"
    assert (tmp_path / "bars.csv").read_text().startswith("timestamp,")
    assert not (tmp_path / "bars.csv").is_symlink()
