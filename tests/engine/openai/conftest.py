import pytest

from analystd.engine.openai import client


@pytest.fixture(autouse=True)
def short_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    """Retry after a few milliseconds."""
    monkeypatch.setattr(client, "_FIRST_PAUSE_SECONDS", 0.01)
