"""The build: setuptools, with a C compiler from a wheel where the machine has none, and archives that are the same bytes each time."""

from __future__ import annotations

import os
import platform
import shlex
import shutil
import sys
import sysconfig
from pathlib import Path
from typing import Any

from reproducible import repack
from setuptools import build_meta
from setuptools.build_meta import (
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
_COMPILER_IS_MADE_FOR = {
    "linux": ("x86_64", "aarch64", "i686", "armv7l", "ppc64le", "riscv64", "s390x"),
    "darwin": ("x86_64", "arm64"),
    "win32": ("AMD64", "ARM64", "x86"),
}
"""Elsewhere the package has no wheel, and requiring it would fail an installation that can do without a compiler."""


def get_requires_for_build_wheel(config_settings: Any = None) -> list[str]:
    """Return what the build of a wheel needs beside setuptools."""
    return [*build_meta.get_requires_for_build_wheel(config_settings), *_compiler()]


def get_requires_for_build_editable(config_settings: Any = None) -> list[str]:
    """Return what an editable build needs beside setuptools."""
    return [*build_meta.get_requires_for_build_editable(config_settings), *_compiler()]


def build_sdist(sdist_directory: str, config_settings: Any = None) -> str:
    """Build a source archive; with `SOURCE_DATE_EPOCH`, the same bytes each time."""
    name = str(build_meta.build_sdist(sdist_directory, config_settings))
    if time := os.environ.get("SOURCE_DATE_EPOCH"):
        repack(Path(sdist_directory) / name, int(time))
    return name


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
    if platform.machine() not in _COMPILER_IS_MADE_FOR.get(sys.platform, ()):
        return []
    command = shlex.split(os.environ.get("CC") or str(sysconfig.get_config_var("CC") or ""))
    # Without a name, as on Windows, setuptools looks for a compiler by itself.
    return [COMPILER] if command and shutil.which(command[0]) is None else []


def _use_compiler() -> None:
    if _compiler():
        os.environ["CC"] = f"{shlex.quote(sys.executable)} -m ziglang cc"
