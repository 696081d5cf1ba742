"""Compare the settings that a client requests with those that a desk or the daemon has: apply what can change, report the rest."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Sequence
from datetime import datetime

from analystd.config.settings import Loaded, Settings, shown_value, tightens, variable

LIVE = (
    "enable_files",
    "enable_data_view",
    "enable_pyexe",
    "temperature",
    "seed",
    "workspace_max_gb",
    "min_free_ram_percent",
    "protected_dirs",
    "exec_timeout_seconds",
    "max_steps",
    "max_seconds",
)
"""Settings that an open desk can change at any time."""

AT_OPENING = ("python", "read_only_paths", "sealed_names", "prompt_file")
"""Settings that apply when a desk is opened: how its workers are started, and what their code cannot reach."""

OF_DAEMON = ("sandbox", "log_dir", "idle_exit_seconds", "client_queue_mb", "trace", "trace_max_mb")
"""Settings that all desks share."""

OF_MODEL = (
    "model_path",
    "model_url",
    "model_name",
    "model_api_key",
    "gpu_layers",
    "context_tokens",
    "threads",
    "lora_path",
    "model_idle_seconds",
)
"""Settings with which the model's worker is started: the first window determines them."""

_ENDS = "`analystd stop` ends it, and the next start takes yours."


def needs_opening(asked: Settings, in_force: Settings) -> bool:
    """Return whether a desk must be opened anew to have the requested settings."""
    return any(getattr(asked, name) != getattr(in_force, name) for name in AT_OPENING)


def taken_up(asked: Settings, in_force: Settings, *, alone: bool) -> Settings:
    """Return the settings of an open desk after a client that requests others has connected.

    A client that is alone at the desk gets what it requests. If there are others, settings can only be tightened, and that at once.
    """
    changes = {
        name: getattr(asked, name)
        for name in LIVE
        if alone or tightens(name, getattr(in_force, name), getattr(asked, name))
    }
    return dataclasses.replace(in_force, **changes)


def tightened_notices(before: Settings, after: Settings) -> list[str]:
    """Return the notices for a client about settings that it has tightened for others too."""
    return [
        f"{variable(name)}={shown_value(after, name)} is in force from now on, for everybody at this desk"
        for name in LIVE
        if getattr(before, name) != getattr(after, name)
    ]


def desk_notices(asked: Loaded, in_force: Settings, since: float) -> list[str]:
    """Return the notices about requested settings that differ from those of an open desk."""
    had = f"the desk has {{value}} since it was opened at {_moment(since)}"
    return list(_notices(asked, in_force, (*LIVE, *AT_OPENING), had))


def daemon_notices(asked: Loaded, in_force: Settings, since: float) -> list[str]:
    """Return the notices about requested settings that differ from those of the daemon."""
    return list(_notices(asked, in_force, OF_DAEMON, f"the daemon has {{value}} since its start at {_moment(since)}"))


def foreign_model_settings(asked: Settings, in_force: Settings) -> list[str]:
    """Return the notices about requested settings that differ from those of the model, which the first window determined."""
    return [
        f"{variable(name)}={shown_value(asked, name)} is not in force: the daemon has {shown_value(in_force, name)} since an "
        "earlier window asked for it. `analystd stop` ends it, and the next start takes yours."
        for name in OF_MODEL
        if getattr(asked, name) != getattr(in_force, name)
    ]


def _notices(asked: Loaded, in_force: Settings, names: Sequence[str], had: str) -> Iterator[str]:
    for name in names:
        old, new = getattr(in_force, name), getattr(asked.settings, name)
        # A client that does not set it accepts the value in force, unless that is less strict than the client's default.
        if old != new and (variable(name) in asked.sources or tightens(name, old, new)):
            what = f"{variable(name)}={shown_value(asked.settings, name)}"
            yield f"{what} is not in force: {had.format(value=shown_value(in_force, name))}. {_ENDS}"


def _moment(at: float) -> str:
    return datetime.fromtimestamp(at).strftime("%Y-%m-%d %H:%M")
