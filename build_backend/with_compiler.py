"""The build: setuptools, with a C compiler from a wheel where the machine has none."""

from __future__ import annotations

import os
import shlex
import shutil
import sys
import sysconfig
from typing import Any

from setuptools import build_meta
from setuptools.build_meta import (
    build_sdist,
    get_requires_for_build_sdist,
    prepare_metadata_for_build_editable,
    prepare_metadata_for_build_wheel,
)

__all__ = [
    "build_editable",
    "build_sdist",
    "build_wheel",
    "get_requires_for_build_editable",
    "get_requires_for_build_sdist",
    "get_requires_for_build_wheel",
    "prepare_metadata_for_build_editable",
    "prepare_metadata_for_build_wheel",
]

COMPILER = "ziglang==0.17.1"


def get_requires_for_build_wheel(config_settings: Any = None) -> list[str]:
    """Return what the build of a wheel needs beside setuptools."""
    return [*build_meta.get_requires_for_build_wheel(config_settings), *_compiler()]


def get_requires_for_build_editable(config_settings: Any = None) -> list[str]:
    """Return what an editable build needs beside setuptools."""
    return [*build_meta.get_requires_for_build_editable(config_settings), *_compiler()]


def build_wheel(wheel_directory: str, config_settings: Any = None, metadata_directory: str | None = None) -> str:
    """Build a wheel."""
    _use_compiler()
    return str(build_meta.build_wheel(wheel_directory, config_settings, metadata_directory))


def build_editable(wheel_directory: str, config_settings: Any = None, metadata_directory: str | None = None) -> str:
    """Build what an editable installation is made of."""
    _use_compiler()
    return str(build_meta.build_editable(wheel_directory, config_settings, metadata_directory))


def _compiler() -> list[str]:
    """The package that brings a C compiler; none where the one that Python itself was built with, or `CC`, is there."""
    command = shlex.split(os.environ.get("CC") or str(sysconfig.get_config_var("CC") or ""))
    # Without a name, as on Windows, setuptools looks for a compiler by itself.
    return [COMPILER] if command and shutil.which(command[0]) is None else []


def _use_compiler() -> None:
    if _compiler():
        os.environ["CC"] = f"{shlex.quote(sys.executable)} -m ziglang cc"
