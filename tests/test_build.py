"""What is shipped: it can be built without a C compiler, is the same bytes each time, and has one version."""

from __future__ import annotations

import hashlib
import json
import os
import re
import shutil
import subprocess
import sys
import tarfile
import zipfile
from email.parser import Parser
from pathlib import Path

import pytest

import analystd

ROOT = Path(__file__).parent.parent
ASK = "import sys; sys.path.insert(0, 'build_backend'); from with_compiler import _compiler; print(_compiler())"
BUILD = """
import sys
sys.path.insert(0, "build_backend")
import with_compiler
print(getattr(with_compiler, sys.argv[1])(sys.argv[2]))
"""
SOURCES = ("LICENSE", "MANIFEST.in", "README.md", "build_backend", "daemon", "pyproject.toml", "setup.py")


def compiler(environment: dict[str, str]) -> str:
    done = subprocess.run(
        [sys.executable, "-c", ASK], cwd=ROOT, env=environment, capture_output=True, text=True, check=True
    )
    return done.stdout.strip()


def copied(folder: Path) -> Path:
    """The sources as somebody else has them: without what was built, each file of the time at which it was copied."""
    folder.mkdir()
    ignored = shutil.ignore_patterns("*.so", "*.egg-info", "__pycache__", "build")
    for name in SOURCES:
        if (ROOT / name).is_dir():
            shutil.copytree(ROOT / name, folder / name, ignore=ignored, copy_function=shutil.copyfile)
        else:
            shutil.copyfile(ROOT / name, folder / name)
    return folder


def built(sources: Path, kind: str, **environment: str) -> Path:
    """What the build backend makes of some sources."""
    done = subprocess.run(
        [sys.executable, "-c", BUILD, kind, str(sources / "made")],
        cwd=sources,
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    return sources / "made" / done.stdout.splitlines()[-1]


def test_without_a_compiler_one_is_required_from_a_wheel(tmp_path: Path) -> None:
    assert compiler({"PATH": str(tmp_path)}).startswith("['ziglang==")


def test_with_a_compiler_nothing_is_required() -> None:
    shell = shutil.which("sh")
    assert shell is not None
    assert compiler({"PATH": os.environ["PATH"], "CC": f"{shell} -O2"}) == "[]"


@pytest.mark.slow
@pytest.mark.timeout(300)
@pytest.mark.parametrize("kind", ["build_wheel", "build_sdist"])
def test_the_same_sources_give_the_same_bytes_wherever_and_whenever_they_are_built(kind: str, tmp_path: Path) -> None:
    made = [built(copied(tmp_path / name), kind, SOURCE_DATE_EPOCH="1767225600") for name in ("one", "a longer name")]
    assert made[0].name == made[1].name
    assert len({hashlib.sha256(path.read_bytes()).hexdigest() for path in made}) == 1


@pytest.mark.slow
def test_one_wheel_serves_every_python(tmp_path: Path) -> None:
    wheel = built(copied(tmp_path / "s"), "build_wheel")
    assert re.fullmatch(rf"analystd-{re.escape(analystd.__version__)}-cp311-abi3-\w+\.whl", wheel.name)
    with zipfile.ZipFile(wheel) as opened:
        names = opened.namelist()
        metadata = opened.read(f"analystd-{analystd.__version__}.dist-info/METADATA").decode()
    assert "analystd/data/text/_records.abi3.so" in names
    assert Parser().parsestr(metadata)["Version"] == analystd.__version__


@pytest.mark.slow
def test_where_the_compiler_fails_the_wheel_is_made_without_what_it_would_compile(tmp_path: Path) -> None:
    wheel = built(copied(tmp_path / "s"), "build_wheel", CC=shutil.which("false") or "false")
    names = zipfile.ZipFile(wheel).namelist()
    assert not [name for name in names if name.endswith(".so")]
    assert "analystd/data/text/python_scanner.py" in names


@pytest.mark.slow
def test_the_source_archive_has_what_it_is_built_from_and_belongs_to_nobody(tmp_path: Path) -> None:
    archive = built(copied(tmp_path / "s"), "build_sdist", SOURCE_DATE_EPOCH="1767225600")
    with tarfile.open(archive) as opened:
        members = {member.name.partition("/")[2]: member for member in opened.getmembers()}
    needed = {"build_backend/with_compiler.py", "build_backend/reproducible.py", "setup.py", "pyproject.toml"}
    assert needed | {"daemon/analystd/data/text/_records.c"} <= members.keys()
    assert {(each.uid, each.gid, each.uname, each.gname, each.mtime) for each in members.values()} == {
        (0, 0, "", "", 1767225600)
    }


def test_the_version_is_the_same_everywhere() -> None:
    sources = (ROOT / "pyproject.toml").read_text()
    version = re.search(r'(?m)^version = "(.+)"$', sources)
    assert version is not None
    extension = json.loads((ROOT / "clients/vscode/package.json").read_text())
    locked = json.loads((ROOT / "clients/vscode/package-lock.json").read_text())
    assert {
        analystd.__version__,
        extension["version"],
        locked["version"],
        locked["packages"][""]["version"],
    } == {version[1]}
    assert f"## [{version[1]}]" in (ROOT / "CHANGELOG.md").read_text()
