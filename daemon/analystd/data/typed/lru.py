"""What was learnt last of some files, by what tells their contents apart."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable, Hashable
from typing import Any, TypeVar, cast

_T = TypeVar("_T")


class LruCache:
    """At most `most` things that were learnt; the one that was not asked for the longest is forgotten first."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._known: OrderedDict[Hashable, Any] = OrderedDict()
        self._lock = threading.Lock()

    def learn(self, key: Hashable, learn: Callable[[], _T]) -> _T:
        """What `learn` gives, or gave for the same key before. Two who ask at the same time may both learn it."""
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
