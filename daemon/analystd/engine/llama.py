"""The local model: the daemon's side of the worker that runs llama.cpp."""

from __future__ import annotations

import dataclasses
import importlib.util
import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from analystd.engine.base import Completion, EngineInfo, GenerateRequest, Message
from analystd.errors import EngineUnavailableError, WorkerDiedError
from analystd.jail.sandbox import Policy, Sandbox
from analystd.workers.parent import Supervisor, Worker, python_module

LOADING_SECONDS = 600.0

_ENVIRONMENT = ("PATH", "HOME", "LANG", "TMPDIR", "LD_LIBRARY_PATH", "DYLD_LIBRARY_PATH")
_ENVIRONMENT_PREFIXES = ("CUDA", "NVIDIA_", "HIP_", "ROCR_", "HSA_", "VK_", "GGML_", "LC_", "OMP_", "GOMP_")


@dataclass(frozen=True)
class Walls:
    """Where the worker is locked in: it reads the model's folder and the GPU's devices, writes in `runtime`, and has no network.

    So a hostile model file that takes over the worker has gained nothing.
    """

    sandbox: Sandbox
    runtime: Path

    def around(self, argv: list[str], environment: Mapping[str, str], model: Path) -> tuple[list[str], dict[str, str]]:
        """The command line and the environment of the worker behind the walls; as they are where no walls can be had."""
        if self.sandbox.level == "none":
            return argv, dict(environment)
        for name in ("home", "cache"):
            (self.runtime / name).mkdir(mode=0o700, parents=True, exist_ok=True)
        # A split model's parts lie beside the first one; a link leads to where they are.
        folders = (model.parent, model.resolve().parent)
        policy = Policy(self.runtime / "home", self.runtime / "cache", folders, gpu=True)
        return self.sandbox.command(argv, policy), {**environment, **self.sandbox.environment(policy)}


class LlamaEngine:
    """An `Engine` whose worker is started when it is first needed, and again after it died."""

    def __init__(
        self,
        find_model: Callable[[], Path],
        *,
        gpu_layers: int = -1,
        context_tokens: int = 0,
        walls: Walls | None = None,
    ) -> None:
        self._find_model = find_model
        self._walls = walls
        self._gpu_layers = gpu_layers
        self._context_tokens = context_tokens
        self._supervisor = Supervisor(self._start)
        self._model = ""
        self._about: Mapping[str, Any] = {}
        self._problem: str | None = None

    def info(self) -> EngineInfo:
        """Which model it is, and whether it is loaded."""
        worker = self._supervisor.running
        return EngineInfo(
            kind="llama",
            model=self._model or self._expected_model(),
            loaded=worker is not None,
            context_tokens=self._about.get("context_tokens"),
            pid=worker.pid if worker else None,
            note=self._note(),
        )

    async def load(self) -> None:
        """Start the worker, which loads the model."""
        with _as_engine_errors():
            await self._supervisor.worker()

    async def count_tokens(self, messages: tuple[Message, ...]) -> int:
        """Tokens of the prompt as the model's own template has it."""
        with _as_engine_errors():
            worker = await self._supervisor.worker()
            answer = await worker.request("count", {"messages": [dataclasses.asdict(each) for each in messages]})
        return int(answer["tokens"])

    async def generate(self, request: GenerateRequest, on_text: Callable[[str], bool]) -> Completion:
        """Generate one reply in the worker."""
        with _as_engine_errors():
            worker = await self._supervisor.worker()
            stream = _Stream(on_text)
            call = worker.call("generate", dataclasses.asdict(request), on_event=stream.take)
            stream.stop = call.cancel
            answer = await call.result()
        reason = "stopped" if stream.stopped else answer.pop("reason")
        return Completion(text=stream.text, **{**answer, "reason": reason})

    def forget(self, sequence: str) -> None:
        """Drop the conversation's part of the model's memory."""
        if worker := self._supervisor.running:
            worker.call("forget", {"sequence": sequence})

    async def aclose(self) -> None:
        """End the worker."""
        await self._supervisor.aclose()

    async def _start(self) -> Worker:
        if importlib.util.find_spec("llama_cpp") is None or importlib.util.find_spec("jinja2") is None:
            raise EngineUnavailableError("llama-cpp-python is not installed", "Run `pip install 'analystd[llama]'`.")
        path = self._find_model()
        argv = python_module("analystd.engine.worker", str(path))
        argv += ["--gpu-layers", str(self._gpu_layers), "--context-tokens", str(self._context_tokens)]
        environment = worker_environment(os.environ)
        if self._walls is not None:
            argv, environment = self._walls.around(argv, environment, path)
        worker = await Worker.start("model", argv, environment=environment, ready_seconds=LOADING_SECONDS)
        self._model, self._about = str(path), worker.ready
        return worker

    def _expected_model(self) -> str:
        try:
            return str(self._find_model())
        except EngineUnavailableError:
            return ""

    def _note(self) -> str | None:
        if self._supervisor.running is not None:
            return None
        try:
            self._find_model()
        except EngineUnavailableError as exc:
            return exc.message if exc.hint is None else f"{exc.message}. {exc.hint}"
        return None


class _Stream:
    """Gathers the pieces of a reply until `on_text` has enough."""

    def __init__(self, on_text: Callable[[str], bool]) -> None:
        self._on_text = on_text
        self._pieces: list[str] = []
        self.stop: Callable[[], None] = lambda: None
        self.stopped = False

    @property
    def text(self) -> str:
        return "".join(self._pieces)

    def take(self, event: dict[str, Any]) -> None:
        # What was under way when the reply was stopped is no part of it.
        if self.stopped:
            return
        self._pieces.append(event["text"])
        if self._on_text(event["text"]):
            self.stopped = True
            self.stop()


def worker_environment(environment: Mapping[str, str]) -> dict[str, str]:
    """What the worker needs to find its libraries and the GPU; no setting and no secret of the user's.

    Threads that wait for each other spin only briefly: left to its default, OpenMP spins so long that a second busy process on the
    machine (the user's Python, say) brings generation from 70 down to 6 tokens a second. An idle machine is as fast either way.
    """
    kept = {
        name: value
        for name, value in environment.items()
        if name in _ENVIRONMENT or name.startswith(_ENVIRONMENT_PREFIXES)
    }
    return {"GOMP_SPINCOUNT": "1000", **kept}


@contextmanager
def _as_engine_errors() -> Iterator[None]:
    try:
        yield
    except WorkerDiedError as exc:
        raise EngineUnavailableError(
            exc.message, "The model is loaded again when it is next asked; the log says more."
        ) from exc
