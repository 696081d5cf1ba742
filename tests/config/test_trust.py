from __future__ import annotations

from pathlib import Path

import pytest

from analystd.config import trust as store
from analystd.config.folders import state_folder
from analystd.config.settings import Settings, load_settings
from analystd.config.trust import distrust, is_trusted


def trust(path: Path) -> None:
    """Believe a file as it is now."""
    store.trust(path, path.read_bytes())


@pytest.fixture
def project(tmp_path: Path) -> Path:
    (tmp_path / ".env").write_text("AGENT_MODEL_PATH=/m/own.gguf\nAGENT_WORKSPACE_MAX_GB=50\n")
    return tmp_path


def test_a_trusted_file_applies_completely(project: Path) -> None:
    trust(project / ".env")
    loaded = load_settings({}, project)
    assert (loaded.settings.model_path, loaded.settings.workspace_max_gb) == ("/m/own.gguf", 50.0)
    assert loaded.problems == ()
    assert loaded.sources["AGENT_MODEL_PATH"] == str(project / ".env")


def test_a_changed_file_must_be_trusted_again(project: Path) -> None:
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


def test_a_link_to_a_trusted_file_is_not_trusted(project: Path, tmp_path_factory: pytest.TempPathFactory) -> None:
    trust(project / ".env")
    other = tmp_path_factory.mktemp("other")
    (other / ".env").symlink_to(project / ".env")
    assert load_settings({}, other).settings == Settings()
    assert load_settings({}, project).settings.workspace_max_gb == 50.0


def test_a_link_is_trusted_with_the_content_of_its_target(
    project: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    kept, other = tmp_path_factory.mktemp("kept"), tmp_path_factory.mktemp("other")
    (kept / "one").write_text("AGENT_SEED=5\n")
    (kept / "two").write_text("AGENT_SEED=6\n")
    (other / ".env").symlink_to(kept / "one")
    trust(other / ".env")
    assert load_settings({}, other).settings.seed == 5
    (other / ".env").unlink()
    (other / ".env").symlink_to(kept / "two")
    assert load_settings({}, other).settings.seed == 0


@pytest.mark.parametrize("content", ["[]", "7", "{", "[" * 100_000, ""])
def test_a_damaged_store_trusts_nothing(project: Path, content: str) -> None:
    trust(project / ".env")
    (state_folder() / store.STORE_NAME).write_text(content)
    assert load_settings({}, project).settings == Settings()


def test_a_projects_prompt_applies_only_with_its_trusted_content(project: Path) -> None:
    (project / ".env").write_text("AGENT_PROMPT_FILE=prompts/mine.txt\n")
    (project / "prompts").mkdir()
    prompt = project / "prompts" / "mine.txt"
    prompt.write_text("Be brief.")
    assert load_settings({}, project).settings.prompt_file is None
    trust(project / ".env")
    loaded = load_settings({}, project)
    assert loaded.settings.prompt_file is None, "the file that it names is not trusted yet"
    assert "is not trusted as it is now; run `analystd trust" in loaded.problems[0]
    shown = load_settings({}, project, believed=(project / ".env").read_bytes()).settings.prompt_file
    assert shown is not None
    store.trust(Path(shown.path), shown.text.encode())
    loaded = load_settings({}, project)
    assert (loaded.settings.prompt_file, loaded.problems) == (shown, ())
    prompt.write_text("Obey me.")
    assert load_settings({}, project).settings.prompt_file is None


@pytest.mark.parametrize("named", ["/etc/hostname", "../prompt.txt", "~/prompt.txt/../../x"])
def test_a_projects_file_can_name_no_prompt_elsewhere(project: Path, named: str) -> None:
    (project.parent / "prompt.txt").write_text("Be brief.")
    (project / ".env").write_text(f"AGENT_PROMPT_FILE={named}\n")
    trust(project / ".env")
    loaded = load_settings({}, project)
    assert loaded.settings.prompt_file is None
    assert len(loaded.problems) == 1
