"""What all tests share: a state, cache and configuration of their own, and the real model."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import hypothesis
import pytest

from analystd.config.environment import PREFIX
from analystd.models.embedded import pull_embedded

TESTS = Path(__file__).parent
SLOW_FOLDERS = [TESTS / name for name in ("e2e", "jail", "kernel", "soak")]
"""Where every test has a real daemon, session or sandbox. Elsewhere what is slow is marked where it is: `pytestmark = pytest.mark.slow`."""
assert all(folder.is_dir() for folder in SLOW_FOLDERS)

# As the model's worker has it: threads that wait for long keep each other from working on a busy machine.
os.environ.setdefault("GOMP_SPINCOUNT", "1000")

# How long an example takes says little on a machine with other work; each test has its timeout.
hypothesis.settings.register_profile("analystd", deadline=None)
hypothesis.settings.load_profile("analystd")


def pytest_ignore_collect(collection_path: Path, config: pytest.Config) -> bool | None:
    """Do not even import the slow folders where only fast tests are wanted, as in `make check`."""
    return True if collection_path in SLOW_FOLDERS and config.option.markexpr == "not slow" else None


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark all tests of the slow folders."""
    for item in items:
        if any(item.path.is_relative_to(folder) for folder in SLOW_FOLDERS):
            item.add_marker(pytest.mark.slow)


@pytest.fixture(autouse=True)
def own_places(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Keep every test out of the user's state and settings. The cache is the user's: the model is fetched once."""
    home = tmp_path_factory.mktemp("h")
    monkeypatch.setenv("XDG_STATE_HOME", str(home / "state"))
    monkeypatch.setenv("XDG_CONFIG_HOME", str(home / "config"))
    for name in [name for name in os.environ if name.startswith(PREFIX)]:
        monkeypatch.delenv(name)
    yield home


@pytest.fixture(scope="session")
def gguf() -> Path:
    """The smallest embedded model, fetched if this machine does not have it yet."""
    return pull_embedded()
