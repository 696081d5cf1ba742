"""Another interpreter is asked behind the walls, and what it claims is believed only as far as that makes sense."""

from __future__ import annotations

import json
import os
import stat
import sys
import venv
from pathlib import Path

import pytest

from analystd.jail import interpreters
from analystd.jail.interpreters import Interpreter, path_lines
from analystd.jail.sandbox import LEVELS, Level, Sandbox, measure_level


@pytest.fixture(params=LEVELS)
async def sandbox(request: pytest.FixtureRequest) -> Sandbox:
    level: Level = request.param
    sandbox = await measure_level(level)
    if sandbox.level != level:
        pytest.skip(sandbox.reason)
    return sandbox


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    home = tmp_path / "home"
    home.mkdir()
    monkeypatch.setenv("HOME", str(home))
    return home


@pytest.fixture
def environment(home: Path) -> Path:
    """A virtual environment of the user's."""
    venv.create(home / "env", symlinks=True)
    return home / "env"


def site_of(environment: Path) -> Path:
    return next(environment.glob("lib/python*/site-packages"))


def impostor(folder: Path, code: str) -> Path:
    """A program that poses as an interpreter."""
    program = folder / "bin/python"
    program.parent.mkdir(parents=True)
    program.write_text(f"#!/usr/bin/env -S {sys.executable} -I\n{code}\n")
    program.chmod(0o755)
    return program


def claiming(folder: Path, **claims: object) -> Path:
    return impostor(folder, f"print({json.dumps(json.dumps({'user': None, 'sites': [], **claims}))})")


def test_a_virtual_environment_tells_its_folders(sandbox: Sandbox, environment: Path) -> None:
    interpreter = sandbox.interpreter(environment / "bin/python")
    assert environment in interpreter.installation
    assert site_of(environment) in interpreter.imports
    assert Path(os.__file__).parent in interpreter.imports


def test_what_it_runs_at_its_start_runs_behind_the_walls(sandbox: Sandbox, environment: Path, home: Path) -> None:
    mark = home / "mark"
    (site_of(environment) / "planted.pth").write_text(f"import os; open({str(mark)!r}, 'w').close()\n")
    assert environment in sandbox.interpreter(environment / "bin/python").installation
    assert not mark.exists()


def test_folders_of_editable_packages_are_readable(sandbox: Sandbox, environment: Path, home: Path) -> None:
    (home / "src/mine").mkdir(parents=True)
    (home / "src/mine/__init__.py").touch()
    (site_of(environment) / "mine.pth").write_text(f"{home / 'src'}\n")
    assert home / "src" in sandbox.interpreter(environment / "bin/python").imports


def test_packages_of_the_user_are_found(sandbox: Sandbox, home: Path) -> None:
    packages = home / f".local/lib/python{sys.version_info[0]}.{sys.version_info[1]}/site-packages"
    packages.mkdir(parents=True)
    (packages / "mine.py").touch()
    base = Path(os.path.realpath(sys.executable))
    interpreter = sandbox.interpreter(base)
    assert packages in interpreter.sites
    assert interpreter.user_base == home / ".local"


@pytest.mark.parametrize("place", ["/", "HOME", "HOME/.ssh", "STATE", "HOME/../home/.ssh", "relative", "/proc/1\0", 7])
def test_a_claim_that_makes_no_sense_is_not_believed(
    sandbox: Sandbox, home: Path, own_places: Path, place: object
) -> None:
    (home / ".ssh").mkdir()
    (home / ".ssh/id_rsa").write_text("secret")
    (own_places / "state/analystd").mkdir(parents=True)
    claimed = str(place).replace("HOME", str(home)).replace("STATE", str(own_places / "state/analystd"))
    claim = [claimed if isinstance(place, str) else place]
    interpreter = sandbox.interpreter(claiming(home / "fake", prefixes=claim, path=claim, sites=claim))
    assert (interpreter.installation, interpreter.sites, interpreter.imports) == ((), (), ())


@pytest.mark.parametrize(
    "code",
    [
        "while True: print('x' * 65536)",
        "print('[' * 100_000)",
        "print('[]')",
        "raise SystemExit(3)",
        "import time; print('{}', flush=True); time.sleep(60)",
    ],
)
def test_an_answer_that_is_none_ends_soon(
    sandbox: Sandbox, home: Path, monkeypatch: pytest.MonkeyPatch, code: str
) -> None:
    monkeypatch.setattr(interpreters, "_ASK_SECONDS", 3.0)
    interpreter = sandbox.interpreter(impostor(home / "fake", code))
    assert interpreter == Interpreter(home / "fake/bin/python", (home / "fake/bin/python",), (), (), (), None)


def test_a_program_that_is_not_there_needs_nothing(sandbox: Sandbox, home: Path) -> None:
    assert sandbox.interpreter(home / "nothing").paths == (home / "nothing",)


def test_lines_of_path_files_name_folders_and_code_is_left_out(tmp_path: Path) -> None:
    (tmp_path / "a.pth").write_text("# comment\nimport os\n\n/opt/lib\n../beside\n")
    (tmp_path / "huge.pth").touch()
    os.truncate(tmp_path / "huge.pth", 1 << 34)
    os.mkfifo(tmp_path / "pipe.pth")
    assert stat.S_ISFIFO((tmp_path / "pipe.pth").stat().st_mode)
    assert list(path_lines([tmp_path])) == [Path("/opt/lib"), tmp_path.parent / "beside"]
