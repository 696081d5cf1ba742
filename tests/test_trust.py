from __future__ import annotations

from pathlib import Path

import pytest

from analystd.settings import Settings, load_settings
from analystd.trust import distrust, is_trusted, trust


@pytest.fixture
def project(tmp_path: Path) -> Path:
    (tmp_path / ".env").write_text("AGENT_MODEL_PATH=/m/own.gguf\nAGENT_WORKSPACE_MAX_GB=50\n")
    return tmp_path


def test_a_trusted_file_is_in_force_whole(project: Path) -> None:
    trust(project / ".env")
    loaded = load_settings({}, project)
    assert (loaded.settings.model_path, loaded.settings.workspace_max_gb) == ("/m/own.gguf", 50.0)
    assert loaded.problems == ()
    assert loaded.sources["AGENT_MODEL_PATH"] == str(project / ".env")


def test_a_file_that_changed_has_to_be_trusted_anew(project: Path) -> None:
    trust(project / ".env")
    (project / ".env").write_text("AGENT_MODEL_PATH=/m/other.gguf\n")
    loaded = load_settings({}, project)
    assert loaded.settings == Settings()
    assert "analystd trust" in loaded.problems[0]


def test_a_copy_elsewhere_is_not_trusted(project: Path, tmp_path_factory: pytest.TempPathFactory) -> None:
    trust(project / ".env")
    copy = tmp_path_factory.mktemp("copy") / ".env"
    copy.write_bytes((project / ".env").read_bytes())
    assert not is_trusted(copy, copy.read_bytes())


def test_trust_can_be_taken_back(project: Path) -> None:
    trust(project / ".env")
    assert distrust(project / ".env") is True
    assert distrust(project / ".env") is False
    assert load_settings({}, project).settings == Settings()


def test_what_is_not_there_cannot_be_trusted(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        trust(tmp_path / ".env")
