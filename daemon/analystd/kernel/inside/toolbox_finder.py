"""Make `import toolbox` find analystd's toolbox, whichever interpreter the session has.

A user's own `toolbox.py` has precedence; names that it lacks come from analystd's toolbox.
"""

from __future__ import annotations

import importlib.abc
import importlib.machinery
import importlib.util
import sys
from collections.abc import Sequence
from types import ModuleType
from typing import Any

NAME = "toolbox"
_BEHIND_OWN = "_analystd_toolbox"
"""The package's name if the user's own module is called `toolbox`."""


def offer_toolbox(folder: str) -> None:
    """Make `import toolbox` load the package in `folder`; a user's own module of that name is loaded and completed by it."""
    sys.meta_path.insert(0, _Finder(folder))


class _Finder(importlib.abc.MetaPathFinder):
    def __init__(self, folder: str) -> None:
        self._folder = folder

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> importlib.machinery.ModuleSpec | None:
        """Return the spec of the toolbox; None for all other modules."""
        if fullname != NAME:
            return None
        own = importlib.machinery.PathFinder.find_spec(NAME, path, target)
        # A folder of that name without an `__init__.py` is not a module.
        if own is None or own.loader is None:
            return _package(NAME, self._folder)
        if isinstance(own.loader, importlib.machinery.SourceFileLoader):
            own.loader = _OwnFirst(own.loader.name, own.loader.path, self._folder)
        return own


class _OwnFirst(importlib.machinery.SourceFileLoader):
    """Load the user's own module, and look up its missing names in analystd's toolbox."""

    def __init__(self, fullname: str, path: str, folder: str) -> None:
        super().__init__(fullname, path)
        self._folder = folder

    def exec_module(self, module: ModuleType) -> None:
        """Run the module, then add a lookup for the names that it lacks."""
        super().exec_module(module)
        folder = self._folder

        def lookup(name: str) -> Any:
            brought = None if name.startswith("_") else _brought(folder)
            if brought is None or name not in brought.__all__:
                raise AttributeError(f"module {NAME!r} has no attribute {name!r}", name=name, obj=module)
            return getattr(brought, name)

        module.__dict__.setdefault("__getattr__", lookup)


def _brought(folder: str) -> ModuleType:
    """Return analystd's toolbox, loaded next to the user's own module."""
    if _BEHIND_OWN not in sys.modules:
        spec = _package(_BEHIND_OWN, folder)
        assert spec is not None
        assert spec.loader is not None
        module = sys.modules[_BEHIND_OWN] = importlib.util.module_from_spec(spec)
        try:
            spec.loader.exec_module(module)
        except BaseException:
            del sys.modules[_BEHIND_OWN]
            raise
    return sys.modules[_BEHIND_OWN]


def _package(name: str, folder: str) -> importlib.machinery.ModuleSpec | None:
    return importlib.util.spec_from_file_location(name, f"{folder}/__init__.py", submodule_search_locations=[folder])
