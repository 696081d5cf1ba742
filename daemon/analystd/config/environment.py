"""The environment variables that are settings; apart from the settings themselves, since the relay needs no more and starts often."""

from __future__ import annotations

import os
from collections.abc import Mapping

PREFIX = "AGENT_"


def agent_variables(environment: Mapping[str, str] = os.environ) -> dict[str, str]:
    """The variables of `environment` that are settings; what a client tells the daemon of its own environment."""
    return {name: value for name, value in environment.items() if name.startswith(PREFIX)}
