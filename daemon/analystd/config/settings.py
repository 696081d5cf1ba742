"""The settings: their names, defaults and sources.

Later sources win: the defaults, the user's own file (`settings.env` in the configuration folder), the project's `.env`, the environment.
A folder is not to be believed: by itself, a project's `.env` may only switch tools off and lower limits. All of it is in force once the
user trusted the file as it is (`analystd trust`).
"""

from __future__ import annotations

import dataclasses
import io
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal
from urllib.parse import urlsplit, urlunsplit

from dotenv import dotenv_values

from analystd.config.environment import PREFIX
from analystd.config.folders import state_folder, user_settings_file
from analystd.config.setting_parsers import PARSERS, AbsolutePath, Adapter, Count, PromptFile
from analystd.config.trust import is_trusted
from analystd.util.small_files import read_small

_FILE_BYTES = 64 * 1024
_MOST_PROBLEMS = 20
_MOST_SHOWN = 200
_TIGHTENED_BY_PROJECTS = (
    "enable_files",
    "enable_data_view",
    "enable_pyexe",
    "workspace_max_gb",
    "exec_timeout_seconds",
    "max_steps",
    "max_seconds",
    "min_free_ram_percent",
    "protected_dirs",
    "sealed_names",
)
"""What an untrusted project may change, and only to tighten it."""


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
    prompt_file: PromptFile | None = None
    """A text file of at most 32 KiB that stands for the agent's own instructions; an absolute path. A project's `.env` can only name one in it."""
    workspace: str | None = None
    """The jail; None: `workspace` in the nearest folder upward that has one. A project's `.env` can only name a folder directly in it."""
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
    sealed_names: tuple[str, ...] = ()
    """More names, separated by commas, that code in the jail may neither change nor make, as it may not `.git` or `.vscode`; with `*` and `?`."""
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
    trace: AbsolutePath | None = None
    """A file to which every message from and to every client is written, an absolute path; None: none."""
    trace_max_mb: float = 64.0
    """Above this size (in units of 2²⁰ bytes) the trace continues in a new file; one older file is kept."""


@dataclass(frozen=True)
class Loaded:
    """Settings with where each came from (variable to source) and what was wrong with the sources, one sentence each."""

    settings: Settings
    sources: Mapping[str, str] = field(default_factory=dict)
    problems: tuple[str, ...] = ()


def variable(name: str) -> str:
    """The variable of a field: `model_path` gives `AGENT_MODEL_PATH`."""
    return PREFIX + name.upper()


def load_settings(
    environment: Mapping[str, str],
    project: Path | None = None,
    user_file: Path | None = None,
    *,
    believed: bytes | None = None,
) -> Loaded:
    """Return the settings from all sources; `project` is the folder whose `.env` is read.

    `believed` is what that file holds, taken as trusted. Never raises for a bad value: the default is used and a problem told.
    """
    loaded = _from_file(Loaded(Settings()), user_file or user_settings_file())
    if project is not None:
        loaded = _from_file(loaded, project_file(project), project=project, believed=believed)
    return _apply(loaded, environment, "environment")


def project_file(project: Path) -> Path:
    """Where a project has its settings."""
    return project / ".env"


def log_folder(settings: Settings) -> Path:
    """Where `agent.log` goes."""
    return Path(settings.log_dir).expanduser() if settings.log_dir else default_log_folder()


def default_log_folder() -> Path:
    """Return where the log goes when no setting says otherwise, or when it cannot be kept there."""
    return state_folder() / "logs"


def shown_value(settings: Settings, name: str) -> str:
    """Return a setting's value as people may see it: no key, no password in a URL, nothing that a terminal would obey."""
    value = getattr(settings, name)
    if name == "model_api_key" and value is not None:
        return "(a key)"
    if name == "model_url" and value is not None:
        return repr(_without_secrets(value))
    if isinstance(value, PromptFile):
        return repr(value.path)
    return repr(value)


def tightens(name: str, old: Any, new: Any) -> bool:
    """Whether a setting's new value allows no more than the old one did."""
    if name.startswith("enable_"):
        return old or not new
    if name in ("workspace_max_gb", "exec_timeout_seconds", "max_steps", "max_seconds"):
        return bool(new <= old)
    if name == "min_free_ram_percent":
        return bool(new >= old)
    if name in ("protected_dirs", "sealed_names"):
        return set(old) <= set(new)
    if name == "read_only_paths":
        return set(new) <= set(old)
    if name == "sandbox":
        return bool(new in (old, "auto"))
    return False


def _from_file(loaded: Loaded, path: Path, *, project: Path | None = None, believed: bytes | None = None) -> Loaded:
    """The settings with those of a file on top: of the user's own, or of a project's, of which little is believed."""
    try:
        content = read_small(path, _FILE_BYTES) if believed is None else believed
    except (FileNotFoundError, NotADirectoryError, IsADirectoryError):
        return loaded
    except OSError as exc:
        if path.is_dir():
            # Some name a virtual environment so.
            return loaded
        problem = f"{_plain(path)} cannot be read: {exc.strerror}"
        return dataclasses.replace(loaded, problems=(*loaded.problems, problem))
    trusted = project is None or believed is not None or (bool(content) and is_trusted(path, content))
    is_asked_about = believed is not None
    return _apply(loaded, _values(content), str(path), project=project, trusted=trusted, believed=is_asked_about)


def _values(content: bytes) -> dict[str, str]:
    """The variables of a file in `.env` form; nothing is expanded or run."""
    stream = io.StringIO(content.decode("utf-8-sig", "replace"))
    return {name: value for name, value in dotenv_values(stream=stream, interpolate=False).items() if value is not None}


def _apply(
    loaded: Loaded,
    values: Mapping[str, str],
    source: str,
    *,
    project: Path | None = None,
    trusted: bool = True,
    believed: bool = False,
) -> Loaded:
    settings, sources, problems = loaded.settings, dict(loaded.sources), list[str]()
    fields = {variable(each.name): each for each in dataclasses.fields(Settings)}
    for name, text in values.items():
        if not name.startswith(PREFIX):
            continue
        if name not in fields:
            problems.append(f"{_plain(name)} (from {_plain(source)}) is not a setting of analystd; it is ignored")
            continue
        each = fields[name]
        old = getattr(settings, each.name)
        try:
            value: Any
            if project is not None and each.name == "prompt_file":
                # Not even looked at for a project that is not believed.
                value = _prompt_in(project, text.strip(), believed=believed) if trusted else text
            else:
                value = PARSERS[str(each.type)](text.strip())
            if project is not None and each.name == "workspace" and trusted:
                value = _in_project(project, value)
        except ValueError as exc:
            problems.append(f"{name}={_cut(text)!r} (from {_plain(source)}) {exc}; {old!r} is used")
            continue
        if not trusted and not (each.name in _TIGHTENED_BY_PROJECTS and tightens(each.name, old, value)):
            problems.append(
                f"{name} in {_plain(source)} is not in force: a project's file that is not trusted may only switch tools off and "
                f"lower limits; run `analystd trust {_plain(Path(source).parent)}` to trust it"
            )
            continue
        settings = dataclasses.replace(settings, **{each.name: value})
        sources[name] = source
    if len(problems) > _MOST_PROBLEMS:
        problems[_MOST_PROBLEMS:] = [f"{len(problems) - _MOST_PROBLEMS} more problems in {_plain(source)}"]
    return Loaded(settings, sources, (*loaded.problems, *problems))


def _in_project(project: Path, value: str | None) -> str | None:
    """A project's own workspace: a folder in it, so that the file beside it is the one that names it."""
    if value is None:
        return None
    folder = Path(os.path.normpath(project / value))
    if folder.parent != project:
        raise ValueError("is not a folder directly in the project, the only place that a project's file can name")
    return str(folder)


def _prompt_in(project: Path, value: str, *, believed: bool) -> PromptFile | None:
    """A project's own prompt: a file in it, that is trusted as it is now, as the file is that names it."""
    path = Path(os.path.normpath(project / value))
    if value and not path.is_relative_to(project):
        raise ValueError("is not a file in the project, the only place that a project's file can name")
    prompt: PromptFile | None = PARSERS["PromptFile | None"](str(path) if value else "")
    if prompt is not None and not believed and not is_trusted(path, prompt.text.encode()):
        raise ValueError(f"is not trusted as it is now; run `analystd trust {_plain(project)}` to trust it")
    return prompt


def _without_secrets(url: str) -> str:
    """A URL without a password, and without what follows the path."""
    try:
        parts = urlsplit(url)
    except ValueError:
        return "(a URL)"
    host = parts.netloc.rpartition("@")[2]
    return urlunsplit((parts.scheme, f"(a name)@{host}" if "@" in parts.netloc else host, parts.path, "", ""))


def _cut(text: str) -> str:
    return text if len(text) <= _MOST_SHOWN else f"{text[:_MOST_SHOWN]}…"


def _plain(name: str | Path) -> str:
    """A name or path in a sentence; quoted where it holds what a terminal might obey."""
    text = _cut(str(name))
    return text if text.isprintable() else repr(text)
