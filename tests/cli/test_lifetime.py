from __future__ import annotations

import asyncio

import pytest
from tests.relay.stand_in import StandIn

from analystd.cli import lifetime
from analystd.cli.lifetime import end_daemon
from analystd.discovery.registry import daemon_address, live_cards
from analystd.wire.errors import DaemonLostError

pytestmark = pytest.mark.slow


async def test_the_wait_for_an_unreachable_daemon_is_limited(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lifetime, "_STOP_SECONDS", 0.3)
    async with StandIn():
        (card,) = live_cards()
        daemon_address().socket.unlink()
        with pytest.raises(DaemonLostError, match=r"accepts no connections, and has not ended within 0\.3 s"):
            await asyncio.to_thread(end_daemon, card, now=False, say=lambda _line: None)


async def test_a_daemon_that_another_has_replaced_counts_as_gone() -> None:
    async with StandIn():
        (card,) = live_cards()
        draft = card.address.card.read_text().replace(f'"{card.token}"', '"another"')
        card.address.card.write_text(draft)
        assert not card.is_live
        assert [each.token for each in live_cards()] == ["another"]
