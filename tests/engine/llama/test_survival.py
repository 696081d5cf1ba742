"""Models that cannot be loaded, and models that are idle."""

from __future__ import annotations

import asyncio
import dataclasses
import os
import shutil
import signal
import struct
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from tests.models.ggufs import Tensor, write_gguf, write_huge_gguf, write_lora

from analystd.config.setting_parsers import Adapter
from analystd.config.settings import Settings
from analystd.engine.base import Completion, GenerateRequest, Message
from analystd.engine.llama.engine import LlamaEngine
from analystd.models.embedded import smallest_model
from analystd.models.resolve import check_content, resolve_model
from analystd.wire.errors import EngineUnavailableError

pytestmark = pytest.mark.slow

WAIT = 60.0

QUESTION = GenerateRequest("test", (Message("user", "Tell me about Paris."),), max_tokens=12)


@asynccontextmanager
async def engine_for(path: Path, **how: Any) -> AsyncIterator[LlamaEngine]:
    """An engine as the settings would make it."""
    engine = LlamaEngine(lambda: resolve_model(Settings(model_path=str(path))).path, **{"context_tokens": 256, **how})
    try:
        yield engine
    finally:
        await engine.aclose()


async def ask(engine: LlamaEngine) -> Completion:
    return await engine.generate(QUESTION, lambda _: False)


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(WAIT):
        while not condition():
            await asyncio.sleep(0.01)


def missing(path: Path, gguf: Path) -> None:
    path.unlink(missing_ok=True)


def text(path: Path, gguf: Path) -> None:
    path.write_text("This is no model.")


def cut_in_the_header(path: Path, gguf: Path) -> None:
    path.write_bytes(gguf.read_bytes()[:50_000])


def cut_in_the_middle(path: Path, gguf: Path) -> None:
    path.write_bytes(gguf.read_bytes()[:50_000_000])


def of_an_unknown_architecture(path: Path, gguf: Path) -> None:
    name = struct.pack("<Q", 5) + b"llama"
    path.write_bytes(gguf.read_bytes().replace(name, name.replace(b"llama", b"lhama"), 1))


def without_what_its_architecture_needs(path: Path, gguf: Path) -> None:
    write_gguf(path, {"general.architecture": "llama"}, [Tensor("token_embd.weight", (16, 16))])


def too_big(path: Path, gguf: Path) -> None:
    write_huge_gguf(path, 5 << 40)


def an_adapter(path: Path, gguf: Path) -> None:
    write_lora(path)


@pytest.mark.parametrize(
    ("damage", "message", "hint"),
    [
        (missing, r"model\.gguf does not exist", "model pull"),
        (text, r"model\.gguf is not a GGUF file", "converted"),
        (cut_in_the_header, r"model\.gguf ends within its header, after 50000 bytes", "Fetch it again"),
        (cut_in_the_middle, r"model\.gguf is truncated: it has 50000000 of 98362432 bytes", "Fetch it again"),
        (of_an_unknown_architecture, r"could not be loaded: unknown model architecture: 'lhama'", "newer llama-cpp"),
        (without_what_its_architecture_needs, r"model\.gguf could not be loaded: key not found", "Fetch it again"),
        (too_big, r"model\.gguf needs about 5\d\d\d\.\d GiB of memory .*; \d+\.\d GiB are available", "smaller model"),
        (an_adapter, r"model\.gguf is a LoRA adapter, not a model", "Set AGENT_LORA_PATH to it"),
    ],
)
async def test_a_bad_file_is_reported_and_a_good_one_in_its_place_works_at_once(
    tmp_path: Path, gguf: Path, damage: Callable[[Path, Path], None], message: str, hint: str
) -> None:
    path = tmp_path / "model.gguf"
    damage(path, gguf)
    async with engine_for(path) as engine:
        for _ in range(2):
            with pytest.raises(EngineUnavailableError, match=message) as refusal:
                await ask(engine)
            assert hint in str(refusal.value.hint)
        info = engine.info()
        assert (info.loaded, info.note) == (False, f"{refusal.value.message}. {refusal.value.hint}")
        path.unlink(missing_ok=True)
        shutil.copyfile(gguf, path)
        assert (await ask(engine)).completion_tokens > 0
        assert (engine.info().loaded, engine.info().note) == (True, None)


async def test_a_file_of_the_hub_cache_with_a_wrong_hash_is_not_loaded(
    tmp_path: Path, gguf: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    blobs, snapshot = tmp_path / "hub" / "blobs", tmp_path / "hub" / "snapshots" / "1"
    for folder in (blobs, snapshot):
        folder.mkdir(parents=True)
    blob = blobs / smallest_model().file.sha256
    shutil.copyfile(gguf, blob)
    (snapshot / "m.gguf").symlink_to(blob)
    async with engine_for(snapshot / "m.gguf") as engine:
        assert (await ask(engine)).completion_tokens > 0
    with blob.open("r+b") as file:
        file.seek(-1, os.SEEK_END)
        file.write(b"x")
    async with engine_for(snapshot / "m.gguf") as engine:
        with pytest.raises(EngineUnavailableError, match=r"m\.gguf is not the expected file") as refusal:
            await ask(engine)
        assert refusal.value.hint == "Remove it and fetch it again."


async def test_a_damaged_embedded_model_is_reported_and_fetched_again_by_a_pull(
    tmp_path: Path, gguf: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    path = smallest_model().path
    path.parent.mkdir(parents=True)
    shutil.copyfile(gguf, path)
    check_content(path)
    with path.open("r+b") as file:
        file.seek(-1, os.SEEK_END)
        file.write(b"x")
    engine = LlamaEngine(lambda: path, context_tokens=256)
    with pytest.raises(EngineUnavailableError, match="is not the expected file") as refusal:
        await ask(engine)
    await engine.aclose()
    assert "analystd model pull" in str(refusal.value.hint)


async def test_info_contains_load_time_speed_and_context_use(gguf: Path) -> None:
    async with engine_for(gguf) as engine:
        before = engine.info()
        assert (before.load_seconds, before.tokens_per_second, before.context_used) == (None, None, None)
        completion = await ask(engine)
        info = engine.info()
        assert info.load_seconds is not None
        assert info.load_seconds > 0
        assert info.tokens_per_second is not None
        assert info.tokens_per_second > 0
        # The last token was chosen, but nothing needed it to be processed.
        assert info.context_used == completion.prompt_tokens + completion.completion_tokens - 1
        assert info.context_tokens == 256


async def test_an_idle_model_is_unloaded_and_loaded_again_for_the_next_request(gguf: Path) -> None:
    async with engine_for(gguf, idle_seconds=0.05) as engine:
        first = await ask(engine)
        await until(lambda: not engine.info().loaded)
        info = engine.info()
        assert (info.pid, info.note, info.context_used, info.context_tokens) == (None, None, None, 256)
        assert (await ask(engine)).text == first.text


async def test_unloading_waits_for_replies_in_progress(gguf: Path) -> None:
    async with engine_for(gguf, idle_seconds=0.001) as engine:
        completions: Sequence[Completion] = await asyncio.gather(*(ask(engine) for _ in range(3)))
        assert [completion.completion_tokens for completion in completions] == [12, 12, 12]
        assert (await ask(engine)).completion_tokens == 12


async def test_a_model_without_an_idle_time_is_never_unloaded(gguf: Path) -> None:
    async with engine_for(gguf, idle_seconds=0) as engine:
        await engine.load()
        pid = engine.info().pid
        await asyncio.sleep(0.2)
        assert engine.info().pid == pid


async def test_a_closed_engine_does_not_unload(gguf: Path) -> None:
    async with engine_for(gguf, idle_seconds=0.01) as engine:
        await engine.load()
        await engine.aclose()
        await engine.aclose()
        assert not engine.info().loaded


async def test_the_number_of_threads_is_a_setting_and_changes_no_answer(gguf: Path) -> None:
    async with engine_for(gguf) as engine, engine_for(gguf, threads=1) as narrow:
        assert (await ask(engine)).text == (await ask(narrow)).text
        pid = narrow.info().pid
        assert pid is not None
        assert "--threads 1 " in Path(f"/proc/{pid}/cmdline").read_text().replace("\0", " ")


async def test_an_adapter_changes_replies_according_to_its_scale(tmp_path: Path, gguf: Path) -> None:
    adapter = str(write_lora(tmp_path / "lora.gguf"))
    texts = []
    for adapters in ((), (Adapter(adapter, 0.0),), (Adapter(adapter),)):
        async with engine_for(gguf, adapters=adapters) as engine:
            texts.append((await ask(engine)).text)
    plain, without_effect, adapted = texts
    assert plain == without_effect != adapted


@pytest.mark.parametrize(
    ("make", "message", "hint"),
    [
        (lambda path, _: path, "lora.gguf does not exist", "separated by commas"),
        (lambda path, _: path.write_text("no"), "lora.gguf is not a GGUF file", "converted"),
        (lambda path, gguf: path.symlink_to(gguf), "lora.gguf is not a LoRA adapter", "AGENT_MODEL_PATH is for models"),
        (lambda path, _: write_lora(path, width=64), "could not be applied: .*incorrect shape", "for this model"),
    ],
)
async def test_an_unsuitable_adapter_is_reported(
    tmp_path: Path, gguf: Path, make: Callable[[Path, Path], object], message: str, hint: str
) -> None:
    path = tmp_path / "lora.gguf"
    make(path, gguf)
    async with engine_for(gguf, adapters=[Adapter(str(path))]) as engine:
        with pytest.raises(EngineUnavailableError, match=message) as refusal:
            await engine.load()
        assert hint in str(refusal.value.hint)


async def test_a_request_that_a_dying_worker_did_not_take_goes_to_the_next_one(gguf: Path) -> None:
    async with engine_for(gguf) as engine:
        expected = await ask(engine)
        engine.forget(QUESTION.sequence)
        pid = engine.info().pid
        assert pid is not None
        os.kill(pid, signal.SIGSTOP)
        asked = asyncio.ensure_future(ask(engine))
        counted = asyncio.ensure_future(engine.count_tokens(QUESTION.messages))
        # Both are sent before the loop runs again.
        await asyncio.sleep(0.2)
        os.kill(pid, signal.SIGKILL)
        assert ((await asked).text, await counted) == (expected.text, expected.prompt_tokens)
        assert engine.info().pid != pid


async def test_a_request_that_the_worker_took_fails_when_it_dies(gguf: Path) -> None:
    async with engine_for(gguf) as engine:
        await engine.load()
        pid = engine.info().pid
        assert pid is not None

        def kill_at_the_first_word(_: str) -> bool:
            os.kill(pid, signal.SIGKILL)
            return False

        with pytest.raises(EngineUnavailableError, match="ended by SIGKILL"):
            await engine.generate(dataclasses.replace(QUESTION, max_tokens=200), kill_at_the_first_word)
