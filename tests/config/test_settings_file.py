from __future__ import annotations

from pathlib import Path

import pytest

from analystd.config.settings import load_settings
from analystd.config.settings_file import change_file, changed

TEXT = """\
# my settings

AGENT_GPU_LAYERS=3   # the card is small
# a big one
export AGENT_MODEL_PATH="/m/old one.gguf"

OTHER='two
lines'
not a setting
AGENT_SEED = 4"""


def test_everything_else_in_the_file_stays_unchanged() -> None:
    assert changed(TEXT, {}) == TEXT
    assert changed(TEXT, {"AGENT_MODEL_PATH": "/m/new.gguf"}) == TEXT.replace(
        'export AGENT_MODEL_PATH="/m/old one.gguf"', "AGENT_MODEL_PATH=/m/new.gguf"
    )


def test_a_removed_variable_becomes_a_comment() -> None:
    assert changed("A=1\nB='x\ny'\nC=3\n", {"B": None, "D": None}) == "A=1\n# B='x\n# y'\nC=3\n"


def test_a_new_variable_comes_last_on_a_line_of_its_own() -> None:
    assert changed("A=1", {"B": "2"}) == "A=1\nB=2\n"
    assert changed("", {"B": "2"}) == "B=2\n"


def test_a_variable_that_was_set_twice_is_set_once() -> None:
    assert changed("A=1\nB=2\nA=3\n", {"A": "4"}) == "A=4\nB=2\n"


@pytest.mark.parametrize(
    "value", ["/m/a.gguf", "/m/a b.gguf", "/m/it's #1.gguf", "C:\\m\\n.gguf", "/m/$HOME", "/m/模型.gguf"]
)
def test_any_value_is_read_back_as_it_was(tmp_path: Path, value: str) -> None:
    file = tmp_path / "settings.env"
    change_file(file, {"AGENT_MODEL_PATH": value})
    assert load_settings({}, None, file).settings.model_path == value


def test_the_file_is_its_owners_and_nothing_is_left_beside_it(tmp_path: Path) -> None:
    file = tmp_path / "config" / "settings.env"
    change_file(file, {"A": "1"})
    file.chmod(0o644)
    change_file(file, {"A": "2"})
    assert file.read_text() == "A=2\n"
    assert file.stat().st_mode & 0o777 == 0o600
    assert list(file.parent.iterdir()) == [file]


def test_invalid_bytes_and_line_ends_stay_unchanged(tmp_path: Path) -> None:
    file = tmp_path / "settings.env"
    file.write_bytes(b"# caf\xe9\r\nA=1\r\nB=2\r\n")
    change_file(file, {"B": "3"})
    assert file.read_bytes() == b"# caf\xe9\r\nA=1\r\nB=3\n"


def test_a_link_stays_a_link(tmp_path: Path) -> None:
    (tmp_path / "dotfiles").mkdir()
    file = tmp_path / "settings.env"
    file.symlink_to("dotfiles/settings.env")
    change_file(file, {"A": "1"})
    assert file.is_symlink()
    assert (tmp_path / "dotfiles" / "settings.env").read_text() == "A=1\n"
