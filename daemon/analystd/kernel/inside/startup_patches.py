"""Patch the process before any user code runs: the cell of a thread's output, pandas' display options and its loads."""

from __future__ import annotations

import concurrent.futures
import contextvars
import importlib.abc
import importlib.machinery
import importlib.util
import sys
import threading
from collections.abc import Sequence
from types import ModuleType
from typing import Any

from .load_guard import LoadGuard

PANDAS_OPTIONS = {"display.width": 120, "display.max_columns": 30, "display.max_rows": 60}


def prepare_pandas(memory_bytes: int | None) -> None:
    """When pandas is imported, set its display options and make it refuse loads that cannot fit into memory."""
    sys.meta_path.insert(0, _PandasFinder(LoadGuard(memory_bytes)))


def let_threads_remember_their_cell() -> None:
    """Assign the output of a thread to the cell that started it, and that of a pool's task to the cell that submitted it.

    ipykernel keeps the cell in a context variable, which a thread does not inherit before Python 3.14.
    """
    start = threading.Thread.start
    submit = concurrent.futures.ThreadPoolExecutor.submit

    def start_in_context(self: threading.Thread) -> None:
        self.run = _in_context(self.run)  # type: ignore[method-assign]
        start(self)

    def submit_in_context(self: Any, fn: Any, /, *args: Any, **kwargs: Any) -> Any:
        return submit(self, _in_context(fn), *args, **kwargs)

    threading.Thread.start = start_in_context  # type: ignore[method-assign]
    concurrent.futures.ThreadPoolExecutor.submit = submit_in_context  # type: ignore[method-assign]


def _in_context(function: Any) -> Any:
    context = contextvars.copy_context()

    def run(*args: Any, **kwargs: Any) -> Any:
        return context.run(function, *args, **kwargs)

    return run


class _PandasFinder(importlib.abc.MetaPathFinder):
    def __init__(self, guard: LoadGuard) -> None:
        self._guard = guard

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> importlib.machinery.ModuleSpec | None:
        """Return the spec of pandas with a loader that prepares it; None for all other modules."""
        if fullname != "pandas":
            return None
        sys.meta_path.remove(self)
        spec = importlib.util.find_spec(fullname)
        if spec is not None and spec.loader is not None:
            _after_loading(spec.loader, self._guard)
        return spec


def _after_loading(loader: Any, guard: LoadGuard) -> None:
    exec_module = loader.exec_module

    def exec_and_prepare(module: ModuleType) -> None:
        exec_module(module)
        guard.watch(module)
        for option, value in PANDAS_OPTIONS.items():
            module.set_option(option, value)

    loader.exec_module = exec_and_prepare
