"""The settings: their names, defaults and sources.

Later sources win: the defaults, the user's own file (`settings.env` in the configuration folder), the project's `.env`, the environment.
A folder is not to be believed: by itself, a project's `.env` may only switch tools off and lower limits. All of it is in force once the
user trusted the file as it is (`analystd trust`).
"""

from __future__ import annotations

import dataclasses
import io
import logging
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from dotenv import dotenv_values

from analystd.environment import PREFIX
from analystd.folders import state_folder, user_settings_file
from analystd.setting_values import PARSERS, Adapter, Count
from analystd.trust import is_trusted

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Settings:
    """What is in force, one field for each variable: `model_path` is `AGENT_MODEL_PATH`."""

    model_path: str | None = None
    """A GGUF file, or a `.jsonl` script that plays a model; None: the embedded default, if it was pulled."""
    model_url: str | None = None
    """An OpenAI-compatible server that has the model, such as `http://127.0.0.1:8080/v1`; wins over `AGENT_MODEL_PATH`."""
    model_name: str | None = None
    """Which of the server's models; None: the only one that it has."""
    model_api_key: str | None = field(default=None, repr=False)
    """The server's key; it is never shown."""
    enable_files: bool = True
    """Offer `list_files`, `read_file` and `write_file`."""
    enable_data_view: bool = True
    """Offer `data_view`."""
    enable_pyexe: bool = True
    """Offer `pyexe`."""
    gpu_layers: int = -1
    """Layers of the model on the GPU; -1: all."""
    context_tokens: int = 0
    """The context window; 0: the model's own, at most 8192."""
    threads: Count = 0
    """Threads that the model is computed with on the CPU; 0: one for each core that the daemon may use."""
    lora_path: tuple[Adapter, ...] = ()
    """LoRA adapters for the model: GGUF files separated by commas, each `path` or `path:scale`."""
    model_idle_seconds: float = 900.0
    """The model is unloaded after so long without a request, and loaded again for the next one; 0: never."""
    model_dirs: tuple[str, ...] = ()
    """More folders in which `analystd model list` looks for GGUF files, separated as `AGENT_READ_ONLY_PATHS` are."""
    temperature: float = 0.0
    """How freely the agent's replies are drawn; 0: always the likeliest token."""
    seed: Count = 0
    """What drawn replies are repeatable by."""
    workspace: str | None = None
    """The jail; None: `workspace` in the nearest folder upward that has one."""
    workspace_max_gb: float = 5.0
    """Above this size of the workspace nothing more runs."""
    min_free_ram_percent: float = 10.0
    """Below this share of free memory nothing more runs."""
    python: str | None = None
    """The interpreter of the sessions; None: the daemon's own."""
    read_only_paths: tuple[str, ...] = ()
    """Folders outside the jail that tools and session may read, separated by `:` (`;` on Windows)."""
    protected_dirs: tuple[str, ...] = ("boot", "daemon")
    """Names that no path may lead through, separated by commas."""
    sandbox: Literal["auto", "off"] = "auto"
    """`auto`: the best walls that this machine offers, and none of its work without any; `off`: no walls."""
    exec_timeout_seconds: float = 600.0
    """How long one piece of code may run."""
    max_steps: int = 12
    """Tool calls of one agent run."""
    max_seconds: float = 900.0
    """Wall-clock limit of one agent run."""
    idle_exit_seconds: float = 1800.0
    """The daemon ends after so long without clients, runs or variables."""
    client_queue_mb: float = 64.0
    """A client that does not read is dropped when more than this many MB (2²⁰ bytes) wait for it."""
    log_dir: str | None = None
    """Where `agent.log` goes; None: `logs` in the state folder."""


@dataclass(frozen=True)
class Loaded:
    """Settings with where each came from (variable to source) and what was wrong with the sources, one sentence each."""

    settings: Settings
    sources: Mapping[str, str] = field(default_factory=dict)
    problems: tuple[str, ...] = ()


def variable(name: str) -> str:
    """The variable of a field: `model_path` gives `AGENT_MODEL_PATH`."""
    return PREFIX + name.upper()


def load_settings(environment: Mapping[str, str], project: Path | None = None, user_file: Path | None = None) -> Loaded:
    """Settings from all sources; `project` is the folder whose `.env` is read.

    Never raises for a bad value: the default is used and a problem told.
    """
    loaded = Loaded(Settings())
    user_file = user_file or user_settings_file()
    loaded = _apply(loaded, _values(_content(user_file)), str(user_file), trusted=True)
    if project is not None:
        content = _content(project_file(project))
        trusted = bool(content) and is_trusted(project_file(project), content)
        loaded = _apply(loaded, _values(content), str(project_file(project)), trusted=trusted)
    return _apply(loaded, environment, "environment", trusted=True)


def project_file(project: Path) -> Path:
    """Where a project has its settings."""
    return project / ".env"


def log_folder(settings: Settings) -> Path:
    """Where `agent.log` goes."""
    return Path(settings.log_dir).expanduser() if settings.log_dir else default_log_folder()


def default_log_folder() -> Path:
    """Return where the log goes when no setting says otherwise, or when it cannot be kept there."""
    return state_folder() / "logs"


def _content(path: Path) -> bytes:
    try:
        return path.read_bytes() if path.is_file() else b""
    except OSError as exc:
        logger.warning("%s cannot be read: %s", path, exc.strerror)
        return b""


def _values(content: bytes) -> dict[str, str]:
    """The variables of a file in `.env` form; nothing is expanded or run."""
    stream = io.StringIO(content.decode("utf-8", "replace"))
    return {name: value for name, value in dotenv_values(stream=stream, interpolate=False).items() if value is not None}


def _apply(loaded: Loaded, values: Mapping[str, str], source: str, *, trusted: bool) -> Loaded:
    settings, sources, problems = loaded.settings, dict(loaded.sources), list(loaded.problems)
    fields = {variable(each.name): each for each in dataclasses.fields(Settings)}
    for name, text in values.items():
        if not name.startswith(PREFIX):
            continue
        if name not in fields:
            problems.append(f"{name} (from {source}) is not a setting of analystd; it is ignored")
            continue
        each = fields[name]
        try:
            value = PARSERS[str(each.type)](text.strip())
        except ValueError as exc:
            problems.append(f"{name}={text!r} (from {source}) {exc}; {getattr(settings, each.name)!r} is used")
            continue
        if not trusted and not _tightens(each.name, getattr(settings, each.name), value):
            problems.append(
                f"{name} in {source} is not in force: by itself, a project's file may only switch tools off and lower "
                f"limits; `analystd trust {Path(source).parent}` allows the rest"
            )
            continue
        settings = dataclasses.replace(settings, **{each.name: value})
        sources[name] = source
    return Loaded(settings, sources, tuple(problems))


def _tightens(name: str, old: Any, new: Any) -> bool:
    if name.startswith("enable_"):
        return old or not new
    if name in ("workspace_max_gb", "exec_timeout_seconds", "max_steps", "max_seconds"):
        return bool(new <= old)
    if name == "min_free_ram_percent":
        return bool(new >= old)
    if name == "protected_dirs":
        return set(old) <= set(new)
    return False
