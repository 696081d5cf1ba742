"""The engine of local models: the daemon's side of the worker that runs llama.cpp."""

from __future__ import annotations

import asyncio
import dataclasses
import importlib.util
import logging
import os
import time
from collections import deque
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from analystd.config.setting_parsers import Adapter
from analystd.engine.base import Completion, EngineInfo, GenerateRequest, Message
from analystd.engine.llama.libllama import INSTALL_HINT, find_build
from analystd.engine.llama.memory_guard import MemoryGuard
from analystd.engine.llama.prefix_cache import prefix_folder
from analystd.engine.llama.worker_sandbox import WorkerSandbox, worker_environment
from analystd.jail.resource_usage import memory
from analystd.models.memory_estimate import files_of
from analystd.models.resolve import check_content
from analystd.wire.errors import EngineUnavailableError, WorkerDiedError
from analystd.workers.parent import Supervisor, Worker, python_module

logger = logging.getLogger(__name__)

LOADING_SECONDS = 600.0

_REPLIES_MEASURED = 8
_MAX_REPLY_CHARACTERS = 4 * 1024 * 1024
"""Longer than the longest context of any model."""

Answer = dict[str, Any]


class LlamaEngine:
    """An `Engine` whose worker starts when it is first needed, ends when it was idle for long, and is started again after it died."""

    def __init__(
        self,
        find_model: Callable[[], Path],
        *,
        gpu_layers: int = -1,
        context_tokens: int = 0,
        threads: int = 0,
        adapters: Sequence[Adapter] = (),
        idle_seconds: float = 0.0,
        walls: WorkerSandbox | None = None,
        prefixes: Path | None = None,
        min_free_ram_percent: float = 0.0,
    ) -> None:
        self._find_model = find_model
        self._prefixes = prefixes
        self._min_free_ram_percent = min_free_ram_percent
        self._guard: MemoryGuard | None = None
        self._walls = walls
        self._gpu_layers = gpu_layers
        self._context_tokens = context_tokens
        self._threads = threads
        self._adapters = adapters
        self._idle_seconds = idle_seconds
        self._supervisor = Supervisor(self._start)
        self._model = ""
        self._about: Mapping[str, Any] = {}
        self._problem: str | None = None
        self._load_seconds: float | None = None
        self._context_used: int | None = None
        self._generated: deque[tuple[int, float]] = deque(maxlen=_REPLIES_MEASURED)
        self._requests = 0
        self._idle_timer: asyncio.TimerHandle | None = None
        self._unloading: asyncio.Task[None] | None = None

    def info(self) -> EngineInfo:
        """Return which model it is, whether it is loaded, and how fast it was."""
        worker = self._supervisor.running
        return EngineInfo(
            kind="llama",
            model=self._model or self._expected_model(),
            loaded=worker is not None,
            context_tokens=self._about.get("context_tokens"),
            conversations=self._about.get("conversations"),
            pid=worker.pid if worker else None,
            note=self._problem_now(),
            on_gpu=self._about.get("on_gpu"),
            load_seconds=self._load_seconds,
            tokens_per_second=self._tokens_per_second(),
            parameters=self._about.get("parameters"),
            context_used=self._context_used if worker else None,
        )

    async def load(self) -> None:
        """Start the worker, which loads the model."""
        with self._request():
            await self._supervisor.worker()

    async def count_tokens(self, messages: tuple[Message, ...]) -> int:
        """Return the number of tokens of the prompt, rendered with the model's own template."""
        params = {"messages": [dataclasses.asdict(each) for each in messages]}
        with self._request():
            answer = await self._ask_worker(lambda worker: worker.request("count", params), lambda: True)
            return int(answer["tokens"])

    async def generate(self, request: GenerateRequest, on_text: Callable[[str], bool]) -> Completion:
        """Generate one reply in the worker."""
        stream = _Stream(on_text)
        with self._request():
            answer = await self._ask_worker(lambda worker: stream.of(worker, request), lambda: not stream.begun)
            self._context_used = int(answer.pop("context_used"))
            self._generated.append((int(answer.pop("written_tokens")), float(answer.pop("writing_seconds"))))
            reason = "stopped" if stream.stopped else answer.pop("reason")
            return Completion(text=stream.text, **{**answer, "reason": reason})

    def forget(self, sequence: str) -> None:
        """Drop the conversation's part of the model's memory."""
        if worker := self._supervisor.running:
            worker.call("forget", {"sequence": sequence})

    async def aclose(self) -> None:
        """End the worker."""
        self._cancel_unload()
        if self._guard is not None:
            self._guard.stop()
        await self._supervisor.aclose()
        if self._unloading is not None:
            await self._unloading

    async def _ask_worker(self, ask: Callable[[Worker], Awaitable[Answer]], is_untouched: Callable[[], bool]) -> Answer:
        """Return the worker's answer. If the worker died before it took the request, ask its replacement once."""
        try:
            return await ask(await self._supervisor.worker())
        except WorkerDiedError:
            if not is_untouched():
                raise
            return await ask(await self._supervisor.worker())

    async def _start(self) -> Worker:
        started, self._problem = time.monotonic(), None
        try:
            path = self._find_model()
            for part in files_of(path):
                await asyncio.to_thread(check_content, part)
            worker = await self._start_for(path)
        except EngineUnavailableError as exc:
            self._problem = _sentence(exc)
            raise
        self._model, self._about = str(path), worker.ready
        self._load_seconds = round(time.monotonic() - started, 3)
        self._context_used = 0
        return worker

    async def _start_for(self, path: Path) -> Worker:
        if find_build() is None or importlib.util.find_spec("jinja2") is None:
            raise EngineUnavailableError("llama.cpp is not installed", INSTALL_HINT)
        adapters = [(_adapter_file(adapter), adapter.scale) for adapter in self._adapters]
        argv = python_module("analystd.engine.llama.worker", str(path))
        argv += ["--gpu-layers", str(self._gpu_layers), "--context-tokens", str(self._context_tokens)]
        argv += ["--threads", str(self._threads), "--memory", str(memory().available)]
        for file, scale in adapters:
            argv += ["--lora", str(file), str(scale)]
        prefixes = prefix_folder(self._prefixes, path) if self._prefixes is not None else None
        if prefixes is not None:
            argv += ["--prefixes", str(prefixes)]
        environment = worker_environment(os.environ)
        files = [path, *(file for file, _ in adapters)]
        guard = self._new_guard()
        try:
            if self._walls is not None:
                argv, environment = self._walls.around(argv, environment, files, prefixes)
            worker = await Worker.start(
                "model", argv, environment=environment, ready_seconds=LOADING_SECONDS, on_start=guard.watch
            )
            guard.settle(worker)
        except WorkerDiedError as exc:
            if guard.breach is not None:
                raise guard.breach from None
            raise EngineUnavailableError(
                f"{path} could not be loaded: {exc.message}",
                "The file may be damaged, other programs may use the memory, or llama.cpp may not work on this machine (`analystd doctor` tests it); "
                "the log says more.",
            ) from exc
        except OSError as exc:
            raise EngineUnavailableError(f"{path} could not be loaded: {exc.strerror or exc}") from exc
        return worker

    def _new_guard(self) -> MemoryGuard:
        if self._guard is not None:
            self._guard.stop()
        self._guard = MemoryGuard(self._min_free_ram_percent, lambda: self._requests > 0)
        return self._guard

    @contextmanager
    def _request(self) -> Iterator[None]:
        """Keep the model loaded while there is a request, and start the idle time after the last one."""
        self._cancel_unload()
        self._requests += 1
        try:
            yield
        except (LookupError, TypeError, ValueError) as exc:
            # No worker of ours sends such an answer.
            if worker := self._supervisor.running:
                worker.end_distrusted("an invalid answer")
            raise EngineUnavailableError(
                f"The model worker sent an invalid answer ({type(exc).__name__}) and was stopped", "Ask again."
            ) from exc
        except WorkerDiedError as exc:
            if self._guard is not None and self._guard.breach is not None:
                raise self._guard.breach from None
            raise EngineUnavailableError(
                exc.message, "The model is loaded again at the next request; the log says more."
            ) from exc
        finally:
            self._requests -= 1
            if not self._requests and self._idle_seconds:
                self._idle_timer = asyncio.get_running_loop().call_later(self._idle_seconds, self._unload)

    def _cancel_unload(self) -> None:
        if self._idle_timer is not None:
            self._idle_timer.cancel()
            self._idle_timer = None

    def _unload(self) -> None:
        logger.info("the model received no request for %g s", self._idle_seconds)
        self._unloading = asyncio.ensure_future(self._supervisor.rest(lambda: not self._requests))

    def _tokens_per_second(self) -> float | None:
        seconds = sum(seconds for _, seconds in self._generated)
        return round(sum(tokens for tokens, _ in self._generated) / seconds, 1) if seconds else None

    def _expected_model(self) -> str:
        try:
            return str(self._find_model())
        except EngineUnavailableError:
            return ""

    def _problem_now(self) -> str | None:
        if self._supervisor.running is not None:
            return None
        try:
            self._find_model()
        except EngineUnavailableError as exc:
            return _sentence(exc)
        return self._problem


class _Stream:
    """Collects the pieces of a reply until `on_text` returns True."""

    def __init__(self, on_text: Callable[[str], bool]) -> None:
        self._on_text = on_text
        self._pieces: list[str] = []
        self._length = 0
        self._stop: Callable[[], None] = lambda: None
        self.begun = False
        """Whether the worker has taken the request."""
        self.stopped = False

    @property
    def text(self) -> str:
        return "".join(self._pieces)

    async def of(self, worker: Worker, request: GenerateRequest) -> Answer:
        """Have a worker generate the reply, and return its result."""
        call = worker.call("generate", dataclasses.asdict(request), on_event=self._take)
        self._stop = call.cancel
        return await call.result()

    def _take(self, event: dict[str, Any]) -> None:
        self.begun = True
        # Pieces that were sent before the worker noticed the stop do not belong to the reply.
        if self.stopped or not event["text"]:
            return
        if not isinstance(event["text"], str):
            raise TypeError("the text is not a string")
        self._length += len(event["text"])
        if self._length > _MAX_REPLY_CHARACTERS:
            raise ValueError("the reply is too long")
        self._pieces.append(event["text"])
        if self._on_text(event["text"]):
            self.stopped = True
            self._stop()


def _adapter_file(adapter: Adapter) -> Path:
    path = Path(adapter.path).expanduser().absolute()
    if not path.is_file():
        raise EngineUnavailableError(
            f"The adapter {path} does not exist", "Set AGENT_LORA_PATH to GGUF files, separated by commas."
        )
    return path


def _sentence(error: EngineUnavailableError) -> str:
    return error.message if error.hint is None else f"{error.message}. {error.hint}"
