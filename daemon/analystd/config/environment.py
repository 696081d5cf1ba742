"""Find the environment variables that are settings. A module of its own, since the relay needs no more and starts often."""

from __future__ import annotations

import os
from collections.abc import Mapping

PREFIX = "AGENT_"


def agent_variables(environment: Mapping[str, str] = os.environ) -> dict[str, str]:
    """Return the variables of `environment` that are settings. A client sends its own to the daemon."""
    return {name: value for name, value in environment.items() if name.startswith(PREFIX)}
