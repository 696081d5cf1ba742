"""Estimation of a cell's size in a reply."""

from __future__ import annotations

import json
from typing import Any

_OTHER_BYTES = 8
_LONG = 1024 * 1024


def json_bytes(value: Any) -> int:
    """Return the approximate size in bytes of a value in a reply."""
    if isinstance(value, (list, dict)) or (isinstance(value, str) and len(value) > _LONG):
        # Escapes and multi-byte characters matter only in long text.
        return len(json.dumps(value, ensure_ascii=False).encode("utf-8", "surrogatepass"))
    if isinstance(value, str):
        return len(value)
    return _OTHER_BYTES
