from __future__ import annotations

import os
from pathlib import Path

import pytest
from tests.models.ggufs import LLAMA, Tensor, write_gguf, write_huge_gguf

from analystd.config.settings import Settings
from analystd.models.catalog import choose, find_models, look_at, model_folders
from analystd.wire.errors import InvalidArgumentsError


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A home with no models."""
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / ".cache"))
    return tmp_path


def names(*folders: Path) -> list[str]:
    return [entry.path.name for entry in find_models(folders)]


def test_the_folders_are_the_caches_the_users_and_the_usual_ones_that_exist(home: Path) -> None:
    assert model_folders(Settings()) == []
    places = [".cache/analystd/models", "lake", ".cache/huggingface/hub", ".lmstudio/models", "models"]
    for place in places:
        (home / place).mkdir(parents=True)
    settings = Settings(model_dirs=("~/lake", "~/none", "~/models"))
    found = [str(folder.relative_to(home)) for folder in model_folders(settings)]
    assert found == [places[0], "lake", "models", places[2], places[3]]


def test_models_are_found_in_folders_of_folders_each_once_and_by_name(home: Path) -> None:
    hub = home / "hub"
    blob = write_gguf(hub / "models--a--b" / "blobs" / "abc123", LLAMA)
    snapshot = hub / "models--a--b" / "snapshots" / "def"
    snapshot.mkdir(parents=True)
    (snapshot / "b.gguf").symlink_to(blob)
    (snapshot / "gone.gguf").symlink_to(home / "nothing")
    write_gguf(hub / "A.GGUF", LLAMA)
    write_gguf(hub / ".hidden" / "c.gguf", LLAMA)
    os.mkfifo(hub / "pipe.gguf")
    (hub / "d.gguf.part").write_bytes(b"")
    (hub / "loop").symlink_to(hub)
    assert names(hub, hub) == ["A.GGUF", "b.gguf"]


def test_a_model_in_parts_is_one_model(home: Path) -> None:
    first = write_gguf(home / "m-00001-of-00002.gguf", {**LLAMA, "split.count": 2}, [Tensor("a", (100,))])
    second = write_gguf(home / "m-00002-of-00002.gguf", {"split.count": 2}, [Tensor("b", (100,))])
    (entry,) = find_models([home])
    assert (entry.path, entry.file_bytes) == (first, first.stat().st_size + second.stat().st_size)


def test_a_broken_file_is_listed_with_what_is_wrong(home: Path) -> None:
    (home / "bad.gguf").write_text("no model")
    (home / "folder.gguf").mkdir()
    write_huge_gguf(home / "huge.gguf", 1 << 40)
    bad, huge = find_models([home])
    assert (bad.header, bad.problem) == (None, f"{home / 'bad.gguf'} is not a GGUF file")
    assert (huge.problem, huge.can_talk) == (None, True)
    assert huge.needs is not None
    assert huge.needs.total > 1 << 40


def test_needs_are_estimated_for_the_context_in_the_settings(home: Path) -> None:
    path = write_huge_gguf(home / "m.gguf", 1 << 30)
    short, long = look_at(path, 1024).needs, look_at(path, 65536).needs
    assert short is not None
    assert long is not None
    assert (short.window, long.window, long.cache // short.cache) == (1024, 65536, 64)


def test_an_adapter_is_distinguished_from_a_model(home: Path) -> None:
    entry = look_at(write_gguf(home / "a.gguf", {"general.architecture": "llama", "general.type": "adapter"}))
    assert entry.header is not None
    assert (entry.header.kind, entry.can_talk) == ("adapter", False)


def test_a_part_of_a_name_means_the_one_model_that_has_it(home: Path) -> None:
    for name in ("Qwen2.5-7B-Q4_K_M.gguf", "Qwen2.5-7B-Q8_0.gguf", "llama.gguf", "llama-2.gguf"):
        write_gguf(home / name, LLAMA)
    entries = find_models([home])

    def chosen(name: str) -> str | None:
        entry = choose(name, entries)
        return None if entry is None else entry.path.name

    assert chosen("qwen2.5-7b-q4") == "Qwen2.5-7B-Q4_K_M.gguf"
    assert chosen("llama") == chosen("llama.gguf") == "llama.gguf"
    assert chosen("gemma") is None
    with pytest.raises(InvalidArgumentsError, match="'qwen' matches 2 models") as refusal:
        choose("qwen", entries)
    assert "Qwen2.5-7B-Q4_K_M.gguf, Qwen2.5-7B-Q8_0.gguf" in str(refusal.value.hint)


def test_files_of_the_same_name_are_reported_with_their_paths(home: Path) -> None:
    for folder in ("a", "b"):
        write_gguf(home / folder / "m.gguf", LLAMA)
    with pytest.raises(InvalidArgumentsError) as refusal:
        choose("m.gguf", find_models([home]))
    assert str(home / "a" / "m.gguf") in str(refusal.value.hint)
