from __future__ import annotations

import asyncio

import pytest
from tests.relay.stand_in import StandIn

from analystd.cli import lifetime
from analystd.cli.lifetime import end_daemon
from analystd.discovery.registry import daemon_address, live_cards
from analystd.wire.errors import DaemonLostError

pytestmark = pytest.mark.slow


async def test_a_daemon_that_cannot_be_told_to_stop_is_not_waited_for_for_ever(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lifetime, "_STOP_SECONDS", 0.3)
    async with StandIn():
        (card,) = live_cards()
        daemon_address().socket.unlink()
        with pytest.raises(DaemonLostError, match=r"accepts no connections, and has not ended within 0\.3 s"):
            await asyncio.to_thread(end_daemon, card, now=False, say=lambda _line: None)


async def test_a_daemon_in_whose_place_is_another_is_gone() -> None:
    async with StandIn():
        (card,) = live_cards()
        draft = card.address.card.read_text().replace(f'"{card.token}"', '"another"')
        card.address.card.write_text(draft)
        assert not card.is_live
        assert [each.token for each in live_cards()] == ["another"]
