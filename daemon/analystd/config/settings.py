"""Define the settings: their names, defaults and sources.

Later sources override earlier ones: the defaults, the user's own file (`settings.env` in the configuration folder), the project's `.env`,
the environment. A folder is not trusted by itself: a project's `.env` may then only switch tools off and lower limits. All of it applies once
the user has trusted the file with its current content (`analystd trust`).
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
"""The settings that an untrusted project may change, and only to tighten them."""


@dataclass(frozen=True)
class Settings:
    """The settings in force, with one field for each variable: `model_path` is `AGENT_MODEL_PATH`."""

    model_path: str | None = None
    """A GGUF file, or a `.jsonl` script that plays a model; None for the embedded default, if it was pulled."""
    model_url: str | None = None
    """An OpenAI-compatible server that has the model, such as `http://127.0.0.1:8080/v1`; overrides `AGENT_MODEL_PATH`."""
    model_name: str | None = None
    """Which of the server's models to use; None for its only one."""
    model_api_key: str | None = field(default=None, repr=False)
    """The server's key. It is never shown."""
    enable_files: bool = True
    """Offer `list_files`, `read_file` and `write_file`."""
    enable_data_view: bool = True
    """Offer `data_view`."""
    enable_pyexe: bool = True
    """Offer `pyexe`."""
    gpu_layers: int = -1
    """The number of the model's layers on the GPU; -1 for all."""
    context_tokens: int = 0
    """The context window; 0 for the model's own, at most 8192."""
    threads: Count = 0
    """The number of CPU threads for the model; 0 for one for each core that the daemon may use."""
    lora_path: tuple[Adapter, ...] = ()
    """LoRA adapters for the model: GGUF files separated by commas, each `path` or `path:scale`."""
    model_idle_seconds: float = 900.0
    """After how many seconds without a request the model is unloaded; the next request loads it again. 0 for never."""
    model_dirs: tuple[str, ...] = ()
    """Additional folders in which `analystd model list` looks for GGUF files, separated like `AGENT_READ_ONLY_PATHS`."""
    temperature: float = 0.0
    """The randomness of the agent's replies; 0 for always the most likely token."""
    seed: Count = 0
    """The seed that makes random replies reproducible."""
    prompt_file: PromptFile | None = None
    """A text file of at most 32 KiB that replaces the agent's own instructions; an absolute path. A project's `.env` can only name one in it."""
    workspace: str | None = None
    """The jail; None for `workspace` in the nearest parent folder that has one. A project's `.env` can only name a folder directly in it."""
    workspace_max_gb: float = 5.0
    """Maximum size of the workspace. Nothing is run while it is larger."""
    min_free_ram_percent: float = 10.0
    """Minimum share of free memory. Nothing is run while less is free."""
    python: str | None = None
    """The Python interpreter of the sessions; None for the daemon's own."""
    read_only_paths: tuple[str, ...] = ()
    """Folders outside the jail that tools and sessions may read, separated by `:` (`;` on Windows)."""
    protected_dirs: tuple[str, ...] = ("boot", "daemon")
    """Names that no path may contain, separated by commas."""
    sealed_names: tuple[str, ...] = ()
    """Additional names, separated by commas, that code in the jail may not change or create, like `.git` and `.vscode`; with `*` and `?`."""
    sandbox: Literal["auto", "off"] = "auto"
    """`auto`: the best sandbox that this machine supports, and no execution without one; `off`: no sandbox."""
    exec_timeout_seconds: float = 600.0
    """Time limit of one execution of code."""
    max_steps: int = 12
    """Maximum number of tool calls of one agent run."""
    max_seconds: float = 900.0
    """Time limit of one agent run."""
    idle_exit_seconds: float = 1800.0
    """After how many seconds without clients, runs or variables the daemon ends."""
    client_queue_mb: float = 64.0
    """Maximum size of a client's send queue in MB (2²⁰ bytes). A client that does not read is dropped above it."""
    log_dir: str | None = None
    """The folder of `agent.log`; None for `logs` in the state folder."""
    trace: AbsolutePath | None = None
    """A file to which every message from and to every client is written, an absolute path; None for no trace."""
    trace_max_mb: float = 64.0
    """Maximum size of the trace (in units of 2²⁰ bytes). Above it, a new file is begun, and one older file is kept."""


@dataclass(frozen=True)
class Loaded:
    """Settings with the source of each (variable to source) and the problems of the sources, one sentence each."""

    settings: Settings
    sources: Mapping[str, str] = field(default_factory=dict)
    problems: tuple[str, ...] = ()


def variable(name: str) -> str:
    """Return the variable of a field: `AGENT_MODEL_PATH` for `model_path`."""
    return PREFIX + name.upper()


def load_settings(
    environment: Mapping[str, str],
    project: Path | None = None,
    user_file: Path | None = None,
    *,
    believed: bytes | None = None,
) -> Loaded:
    """Return the settings from all sources. `project` is the folder whose `.env` is read.

    `believed` is the content of that file, which is treated as trusted. Never raises for an invalid value: the default is used, and the
    problem reported.
    """
    loaded = _from_file(Loaded(Settings()), user_file or user_settings_file())
    if project is not None:
        loaded = _from_file(loaded, project_file(project), project=project, believed=believed)
    return _apply(loaded, environment, "environment")


def project_file(project: Path) -> Path:
    """Return the path of a project's settings file."""
    return project / ".env"


def log_folder(settings: Settings) -> Path:
    """Return the folder of `agent.log`."""
    return Path(settings.log_dir).expanduser() if settings.log_dir else default_log_folder()


def default_log_folder() -> Path:
    """Return the folder of the log when no setting names another one, or when that one cannot be used."""
    return state_folder() / "logs"


def shown_value(settings: Settings, name: str) -> str:
    """Return a setting's value for display: without keys and passwords, and safe for a terminal."""
    value = getattr(settings, name)
    if name == "model_api_key" and value is not None:
        return "(a key)"
    if name == "model_url" and value is not None:
        return repr(_without_secrets(value))
    if isinstance(value, PromptFile):
        return repr(value.path)
    return repr(value)


def tightens(name: str, old: Any, new: Any) -> bool:
    """Return whether a setting's new value allows no more than the old one."""
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
    """Return the settings overridden by those of a file: the user's own, or a project's, which is not trusted by itself."""
    try:
        content = read_small(path, _FILE_BYTES) if believed is None else believed
    except (FileNotFoundError, NotADirectoryError, IsADirectoryError):
        return loaded
    except OSError as exc:
        if path.is_dir():
            # Some users name a virtual environment `.env`.
            return loaded
        problem = f"{_printable(path)} cannot be read: {exc.strerror}"
        return dataclasses.replace(loaded, problems=(*loaded.problems, problem))
    trusted = project is None or believed is not None or (bool(content) and is_trusted(path, content))
    is_believed = believed is not None
    return _apply(loaded, _values(content), str(path), project=project, trusted=trusted, believed=is_believed)


def _values(content: bytes) -> dict[str, str]:
    """Return the variables of a file in `.env` form. Nothing is expanded or run."""
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
            problems.append(
                f"{_printable(name)} (from {_printable(source)}) is not a setting of analystd; it is ignored"
            )
            continue
        each = fields[name]
        old = getattr(settings, each.name)
        try:
            value: Any
            if project is not None and each.name == "prompt_file":
                # Not even read for a project that is not trusted.
                value = _prompt_in(project, text.strip(), believed=believed) if trusted else text
            else:
                value = PARSERS[str(each.type)](text.strip())
            if project is not None and each.name == "workspace" and trusted:
                value = _in_project(project, value)
        except ValueError as exc:
            problems.append(f"{name}={_cut(text)!r} (from {_printable(source)}) {exc}; {old!r} is used")
            continue
        if not trusted and not (each.name in _TIGHTENED_BY_PROJECTS and tightens(each.name, old, value)):
            problems.append(
                f"{name} in {_printable(source)} is not in force: a project's file that is not trusted may only switch tools off and "
                f"lower limits; run `analystd trust {_printable(Path(source).parent)}` to trust it"
            )
            continue
        settings = dataclasses.replace(settings, **{each.name: value})
        sources[name] = source
    if len(problems) > _MOST_PROBLEMS:
        problems[_MOST_PROBLEMS:] = [f"{len(problems) - _MOST_PROBLEMS} more problems in {_printable(source)}"]
    return Loaded(settings, sources, (*loaded.problems, *problems))


def _in_project(project: Path, value: str | None) -> str | None:
    """Return a project's own workspace: a folder directly in it, so that the file that names it is beside it."""
    if value is None:
        return None
    folder = Path(os.path.normpath(project / value))
    if folder.parent != project:
        raise ValueError("is not a folder directly in the project, the only place that a project's file can name")
    return str(folder)


def _prompt_in(project: Path, value: str, *, believed: bool) -> PromptFile | None:
    """Return a project's own prompt: a file in the project whose current content is trusted, like that of the file that names it."""
    path = Path(os.path.normpath(project / value))
    if value and not path.is_relative_to(project):
        raise ValueError("is not a file in the project, the only place that a project's file can name")
    prompt: PromptFile | None = PARSERS["PromptFile | None"](str(path) if value else "")
    if prompt is not None and not believed and not is_trusted(path, prompt.text.encode()):
        raise ValueError(f"is not trusted as it is now; run `analystd trust {_printable(project)}` to trust it")
    return prompt


def _without_secrets(url: str) -> str:
    """Return a URL without a password, and without everything after the path."""
    try:
        parts = urlsplit(url)
    except ValueError:
        return "(a URL)"
    host = parts.netloc.rpartition("@")[2]
    return urlunsplit((parts.scheme, f"(a name)@{host}" if "@" in parts.netloc else host, parts.path, "", ""))


def _cut(text: str) -> str:
    return text if len(text) <= _MOST_SHOWN else f"{text[:_MOST_SHOWN]}…"


def _printable(name: str | Path) -> str:
    """Return a name or path for a sentence, quoted if it contains characters that a terminal might obey."""
    text = _cut(str(name))
    return text if text.isprintable() else repr(text)
