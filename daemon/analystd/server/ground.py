"""Keep everything that is trusted outside the jail out of reach of a desk's code, or refuse to open the desk."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from analystd.config.folders import state_folder, user_settings_file
from analystd.config.settings import Settings
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
from analystd.wire.errors import WorkspaceError


class Ground:
    """The places that the daemon and its desks trust, and the seals that protect them in a workspace."""

    def __init__(self, settings: Settings, sandbox: Sandbox, runtime: Path) -> None:
        self._settings = settings
        self._sandbox = sandbox
        self._runtime = runtime

    def seals(
        self,
        root: Path,
        settings: Settings,
        model: Settings,
        others: Mapping[Path, Seals],
        of_client: Sequence[TrustedPlace] = (),
    ) -> Seals:
        """Return what must be sealed in a workspace before its desk is opened.

        Args:
            root: the workspace.
            settings: the settings of the desk.
            model: the settings of the model's worker.
            others: the seals of the other open desks, by workspace.
            of_client: the places that the client which opens the desk runs code from.

        Raises:
            WorkspaceError: when code in the workspace could reach a trusted place; also when a place that the desk itself trusts lies in the
                workspace of another open desk, whose code may have changed it already.
        """
        if self._sandbox.level == "none":
            return Seals()
        self._require_closed_to_reading(settings)
        of_daemon = daemon_places(self._settings, self._sandbox.interpreter(None), self._runtime)
        own = desk_places(settings, self._sandbox.interpreter(python) if (python := python_of(settings)) else None)
        for other, seals in others.items():
            if place := exposed(other, seals, own):
                raise WorkspaceError(_in_reach(place, other), place.advice)
        can_seal = self._sandbox.level == "full"
        trusted = seals_in(root, [*of_daemon, *of_client, *own, *desk_places(model, None)], can_seal=can_seal)
        read_only = read_only_seals(root, [Path(path).expanduser().resolve() for path in settings.read_only_paths])
        return joined(root, trusted, read_only) if can_seal else trusted

    def _require_closed_to_reading(self, settings: Settings) -> None:
        """Refuse read-only paths that would expose analystd's own state or settings, at sandbox levels that cannot hide them.

        Raises:
            WorkspaceError: when a path would expose them.
        """
        if self._sandbox.level == "full":
            return
        kept = [Path(os.path.realpath(path)) for path in (state_folder(), user_settings_file().parent)]
        for path in (Path(os.path.realpath(Path(each).expanduser())) for each in settings.read_only_paths):
            if any(folder.is_relative_to(path) or path.is_relative_to(folder) for folder in kept):
                raise WorkspaceError(
                    f"AGENT_READ_ONLY_PATHS cannot hold {path}: analystd's own state or settings would be read with it, "
                    "and without namespaces nothing in it can be hidden",
                    "Name the folders in it that you need.",
                )


def python_of(settings: Settings) -> Path | None:
    """Return the interpreter that the settings name for sessions, or None."""
    return Path(settings.python).expanduser() if settings.python else None


def unsealed_reading(root: Path, settings: Settings, sandbox: Sandbox) -> list[str]:
    """Return warnings about read-only paths inside the workspace, at sandbox levels that cannot make them read-only."""
    if sandbox.level == "full":
        return []
    paths = [Path(path).expanduser().resolve() for path in settings.read_only_paths]
    return [
        f"AGENT_READ_ONLY_PATHS: {path} lies in the workspace, and at level {sandbox.level} of the sandbox code can write there"
        for path in read_only_seals(root, paths).sealed
    ]


def exposed(root: Path, seals: Seals, places: Iterable[TrustedPlace]) -> TrustedPlace | None:
    """Return the first trusted place that code at an open desk could change, or None."""
    for place in places:
        needed = _needed_seals(root, place)
        if any(not any(path.is_relative_to(sealed) for sealed in seals.sealed) for path in needed):
            return place
    return None


def exposed_notices(root: Path, seals: Seals, places: Iterable[TrustedPlace], sandbox: Sandbox) -> list[str]:
    """Return warnings for a client whose own environment can be changed by the code at a desk that was open before it connected."""
    place = None if sandbox.level == "none" else exposed(root, seals, places)
    if place is None:
        return []
    return [
        f"{_in_reach(place, root)}. `analystd stop` ends the desk; the next start keeps it from its code. {place.advice}"
    ]


def _in_reach(place: TrustedPlace, root: Path) -> str:
    what = f"{place.what[0].upper()}{place.what[1:]} ({place.path})"
    return f"{what} lies in the workspace {root} of an open desk, whose code could change it"


def _needed_seals(root: Path, place: TrustedPlace) -> tuple[Path, ...]:
    """Return what must be sealed in an open workspace to protect a trusted place: the whole workspace if no seal can do that."""
    try:
        return seals_in(root, [place], can_seal=True).sealed
    except WorkspaceError:
        return (root,)
