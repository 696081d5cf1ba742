"""Makes `import toolbox` find the functions that analystd brings, whichever interpreter the session has."""

from __future__ import annotations

import importlib.abc
import importlib.machinery
import importlib.util
import sys
from collections.abc import Sequence
from types import ModuleType

NAME = "toolbox"


def offer_toolbox(folder: str) -> None:
    """Have `import toolbox` load the package in `folder`, unless the user has a module of that name."""
    sys.meta_path.append(_Finder(folder))


class _Finder(importlib.abc.MetaPathFinder):
    def __init__(self, folder: str) -> None:
        self._folder = folder

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> importlib.machinery.ModuleSpec | None:
        """Return the spec of the toolbox; None for all other modules."""
        if fullname != NAME:
            return None
        return importlib.util.spec_from_file_location(
            NAME, f"{self._folder}/__init__.py", submodule_search_locations=[self._folder]
        )
