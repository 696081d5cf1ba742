"""Another version of analystd beside this one: a copy of the package tree that says so of itself."""

from __future__ import annotations

import shutil
from pathlib import Path

from tests.station import Station

import analystd

PACKAGE = Path(analystd.__file__).parent


def copy_of_version(folder: Path, version: str) -> Path:
    """A folder for `PYTHONPATH` that holds the package as it is, but for its version."""
    shutil.copytree(PACKAGE, folder / "analystd", ignore=shutil.ignore_patterns("__pycache__"))
    init = folder / "analystd" / "__init__.py"
    said = f'__version__ = "{analystd.__version__}"'
    assert said in init.read_text()
    init.write_text(init.read_text().replace(said, f'__version__ = "{version}"'))
    return folder


def with_version(station: Station, place: Path) -> Station:
    """The same home and project, with the program from another place."""
    other = object.__new__(Station)
    other.__dict__ = {**station.__dict__, "environment": {**station.environment, "PYTHONPATH": str(place)}}
    return other
