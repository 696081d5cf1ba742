"""Create the engine that the settings ask for."""

from __future__ import annotations

from pathlib import Path

from analystd.config.folders import cache_folder
from analystd.config.settings import Settings
from analystd.engine.base import Engine
from analystd.engine.llama.engine import LlamaEngine
from analystd.engine.llama.worker_sandbox import WorkerSandbox
from analystd.engine.scripted import ScriptedEngine
from analystd.models.resolve import resolve_model


def make_engine(settings: Settings, walls: WorkerSandbox | None = None) -> Engine:
    """Return an engine for these settings, with its worker in the sandbox `walls`.

    Never raises and starts nothing: `info()` and the first call report what is missing.
    """
    if settings.model_url is None and settings.model_path is not None and settings.model_path.endswith(".jsonl"):
        return ScriptedEngine(Path(settings.model_path).expanduser())

    if settings.model_url is not None:
        # Imported here, since only model servers need the HTTP client.
        from analystd.engine.openai.client import Server
        from analystd.engine.openai.engine import EndpointEngine

        server = Server(settings.model_url, settings.model_api_key)
        return EndpointEngine(server, settings.model_name, context_tokens=settings.context_tokens)

    def find_model() -> Path:
        return resolve_model(settings).path

    return LlamaEngine(
        find_model,
        gpu_layers=settings.gpu_layers,
        context_tokens=settings.context_tokens,
        threads=settings.threads,
        adapters=settings.lora_path,
        idle_seconds=settings.model_idle_seconds,
        walls=walls,
        prefixes=cache_folder() / "prefixes",
        min_free_ram_percent=settings.min_free_ram_percent,
    )
