"""The ground that a desk is opened on: what is trusted outside of the jail is out of the reach of its code, or the desk is refused."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path

from analystd.errors import WorkspaceError
from analystd.jail.sandbox import Sandbox
from analystd.jail.trusted_places import (
    Seals,
    TrustedPlace,
    daemon_places,
    desk_places,
    joined,
    read_only_seals,
    seals_in,
)
from analystd.settings import Settings


class Ground:
    """What the daemon and its desks trust, and what was sealed for that in each workspace."""

    def __init__(self, settings: Settings, sandbox: Sandbox, runtime: Path) -> None:
        self._settings = settings
        self._sandbox = sandbox
        self._runtime = runtime

    def seals(self, root: Path, settings: Settings, model: Settings, others: Mapping[Path, Seals]) -> Seals:
        """Return what to seal in the workspace `root`, opened with these settings beside a model with those and beside other open desks.

        Raises:
            WorkspaceError: when something that is trusted would be in the reach of its code; also when what the desk itself trusts lies in
                the workspace of another open desk, whose code may have changed it already.
        """
        if self._sandbox.level == "none":
            return Seals()
        of_daemon = daemon_places(self._settings, self._sandbox.interpreter(None), self._runtime)
        own = desk_places(settings, self._sandbox.interpreter(python) if (python := python_of(settings)) else None)
        for other, seals in others.items():
            _require_beyond(other, seals, own)
        can_seal = self._sandbox.level == "full"
        trusted = seals_in(root, [*of_daemon, *own, *desk_places(model, None)], can_seal=can_seal)
        read_only = read_only_seals(root, [Path(path).expanduser().resolve() for path in settings.read_only_paths])
        return joined(root, trusted, read_only) if can_seal else trusted


def python_of(settings: Settings) -> Path | None:
    """The interpreter that the settings name for sessions."""
    return Path(settings.python).expanduser() if settings.python else None


def unsealed_reading(root: Path, settings: Settings, sandbox: Sandbox) -> list[str]:
    """Return what a person should know of read-only paths in the workspace, where nothing can be made read-only."""
    if sandbox.level == "full":
        return []
    paths = [Path(path).expanduser().resolve() for path in settings.read_only_paths]
    return [
        f"AGENT_READ_ONLY_PATHS: {path} lies in the workspace, and at level {sandbox.level} of the sandbox code can write there"
        for path in read_only_seals(root, paths).sealed
    ]


def _require_beyond(other: Path, seals: Seals, places: Iterable[TrustedPlace]) -> None:
    """Make sure that what a desk trusts is out of the reach of the code at another one.

    Raises:
        WorkspaceError: when it is not.
    """
    for place in places:
        needed = seals_in_or_all(other, place)
        if any(not any(path.is_relative_to(sealed) for sealed in seals.sealed) for path in needed):
            raise WorkspaceError(
                f"{place.what[0].upper()}{place.what[1:]} ({place.path}) lies in the workspace {other} of another desk, "
                "whose code could change it",
                place.advice,
            )


def seals_in_or_all(root: Path, place: TrustedPlace) -> tuple[Path, ...]:
    """What would have to be sealed in another workspace for a place to be trusted; all of the workspace where sealing is no help."""
    try:
        return seals_in(root, [place], can_seal=True).sealed
    except WorkspaceError:
        return (root,)
