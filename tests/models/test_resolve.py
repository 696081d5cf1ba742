from pathlib import Path

import pytest

from analystd.config.settings import Settings
from analystd.engine.factory import make_engine
from analystd.models.embedded import embedded_models
from analystd.models.resolve import resolve_model
from analystd.wire.errors import EngineUnavailableError

pytestmark = pytest.mark.slow

CONTENT = b"GGUF" + b"\x03\x00\x00\x00" + b"\0" * 4000


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A cache in which nothing is."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return tmp_path / "cache"


def test_without_settings_the_most_capable_fetched_model_is_used(cache: Path) -> None:
    with pytest.raises(EngineUnavailableError, match="There is no model yet") as refusal:
        resolve_model(Settings())
    assert "analystd model pull" in str(refusal.value.hint)
    for model in reversed(embedded_models()):
        model.path.parent.mkdir(parents=True, exist_ok=True)
        model.path.write_bytes(CONTENT)
        assert resolve_model(Settings()).path == model.path


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("none.gguf", None, "does not exist"),
        ("text.gguf", b"hello, world", "is not a GGUF file"),
        ("empty.gguf", b"", "is not a GGUF file"),
        ("stub.gguf", b"GGUF\x03\x00", "ends within its header, after 6 bytes"),
    ],
)
def test_a_file_that_is_not_a_model_is_rejected(tmp_path: Path, name: str, content: bytes | None, message: str) -> None:
    path = tmp_path / name
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(EngineUnavailableError, match=message):
        resolve_model(Settings(model_path=str(path)))


def test_a_folder_is_not_a_model(tmp_path: Path) -> None:
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


def test_an_engine_can_be_made_before_there_is_a_model(cache: Path) -> None:
    info = make_engine(Settings()).info()
    assert (info.loaded, info.model) == (False, "")
    assert "There is no model yet" in str(info.note)
