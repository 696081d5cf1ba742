"""A thread-safe cache of the most recently used values."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable, Hashable
from typing import Any, TypeVar, cast

_T = TypeVar("_T")


class LruCache:
    """A cache of at most `most` values, which drops the least recently used one first."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._known: OrderedDict[Hashable, Any] = OrderedDict()
        self._lock = threading.Lock()

    def learn(self, key: Hashable, learn: Callable[[], _T]) -> _T:
        """Return the cached value of `key`, or the result of `learn`. Concurrent callers may both call `learn`."""
        with self._lock:
            if key in self._known:
                self._known.move_to_end(key)
                return cast(_T, self._known[key])
        learnt = learn()
        with self._lock:
            learnt = self._known.setdefault(key, learnt)
            while len(self._known) > self._most:
                self._known.popitem(last=False)
        return learnt
