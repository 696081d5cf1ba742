"""How much room a cell takes in a reply."""

from __future__ import annotations

import json
from typing import Any

_OTHER_CHARACTERS = 8


def characters(value: Any) -> int:
    """About how many characters a value takes in a reply."""
    if isinstance(value, str):
        return len(value)
    if isinstance(value, (list, dict)):
        return len(json.dumps(value))
    return _OTHER_CHARACTERS
