"""What all tests share: a state, cache and configuration of their own, and the real model."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import settings

from analystd.environment import PREFIX

# How long an example takes says how busy the machine is.
settings.register_profile("analystd", deadline=None)
settings.load_profile("analystd")

# As the model's worker has it: threads that wait for long keep each other from working on a busy machine.
os.environ.setdefault("GOMP_SPINCOUNT", "1000")


@pytest.fixture(autouse=True)
def own_places(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Keep every test out of the user's state and settings. The cache is the user's: the model is fetched once."""
    home = tmp_path_factory.mktemp("h")
    monkeypatch.setenv("XDG_STATE_HOME", str(home / "state"))
    monkeypatch.setenv("XDG_CONFIG_HOME", str(home / "config"))
    for name in [name for name in os.environ if name.startswith(PREFIX)]:
        monkeypatch.delenv(name)
    yield home
