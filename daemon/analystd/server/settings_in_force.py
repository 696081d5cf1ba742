"""What a client asks for where a desk or the daemon has other settings already: taken up at once where that can be, told where it cannot."""

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
"""What an open desk can take up at any time."""

AT_OPENING = ("python", "read_only_paths", "sealed_names", "prompt_file")
"""What a desk's workers are started with, or what is kept from the reach of their code."""

OF_DAEMON = ("sandbox", "log_dir", "idle_exit_seconds", "client_queue_mb", "trace", "trace_max_mb")
"""What all desks share."""

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
"""What the model's worker is started with: the first window that asks decides."""

_ENDS = "`analystd stop` ends it, and the next start takes yours."


def needs_opening(asked: Settings, in_force: Settings) -> bool:
    """Whether a desk would have to be opened anew to have the settings that are asked for."""
    return any(getattr(asked, name) != getattr(in_force, name) for name in AT_OPENING)


def taken_up(asked: Settings, in_force: Settings, *, alone: bool) -> Settings:
    """Return the settings of an open desk after a client came that asks for others.

    Who is alone there has it as they say; in company it is only ever tightened, and that at once.
    """
    changes = {
        name: getattr(asked, name)
        for name in LIVE
        if alone or tightens(name, getattr(in_force, name), getattr(asked, name))
    }
    return dataclasses.replace(in_force, **changes)


def tightened_notices(before: Settings, after: Settings) -> list[str]:
    """Return what a client is told of what it tightened for others too."""
    return [
        f"{variable(name)}={shown_value(after, name)} is in force from now on, for everybody at this desk"
        for name in LIVE
        if getattr(before, name) != getattr(after, name)
    ]


def desk_notices(asked: Loaded, in_force: Settings, since: float) -> list[str]:
    """Return what a client asks for that an open desk has otherwise."""
    had = f"the desk has {{value}} since it was opened at {_moment(since)}"
    return list(_notices(asked, in_force, (*LIVE, *AT_OPENING), had))


def daemon_notices(asked: Loaded, in_force: Settings, since: float) -> list[str]:
    """Return what a client asks for that the daemon has otherwise."""
    return list(_notices(asked, in_force, OF_DAEMON, f"the daemon has {{value}} since its start at {_moment(since)}"))


def foreign_model_settings(asked: Settings, in_force: Settings) -> list[str]:
    """Return what a client asks of the model that this daemon has otherwise: first come, first served."""
    return [
        f"{variable(name)}={shown_value(asked, name)} is not in force: the daemon has {shown_value(in_force, name)} since an "
        "earlier window asked for it. `analystd stop` ends it, and the next start takes yours."
        for name in OF_MODEL
        if getattr(asked, name) != getattr(in_force, name)
    ]


def _notices(asked: Loaded, in_force: Settings, names: Sequence[str], had: str) -> Iterator[str]:
    for name in names:
        old, new = getattr(in_force, name), getattr(asked.settings, name)
        # Who says nothing of it takes what there is, unless that is less strict than what is the rule.
        if old != new and (variable(name) in asked.sources or tightens(name, old, new)):
            what = f"{variable(name)}={shown_value(asked.settings, name)}"
            yield f"{what} is not in force: {had.format(value=shown_value(in_force, name))}. {_ENDS}"


def _moment(at: float) -> str:
    return datetime.fromtimestamp(at).strftime("%Y-%m-%d %H:%M")
