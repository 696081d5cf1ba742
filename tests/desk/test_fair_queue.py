from __future__ import annotations

import asyncio
from collections.abc import Sequence

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from analystd.desk.fair_queue import FairQueue, QueueRequest
from analystd.wire.errors import OverloadedError


async def take_turn(turnstile: FairQueue, order: list[str], name: str, ticket: QueueRequest | None = None) -> None:
    async with turnstile.turn(ticket):
        order.append(name)
        await asyncio.sleep(0)


async def order_of(turnstile: FairQueue, asked: Sequence[tuple[str, QueueRequest]]) -> list[str]:
    """Return the order of turns if all request one while the queue is occupied."""
    order: list[str] = []
    async with turnstile.turn(QueueRequest("who came first")):
        tasks = []
        for name, ticket in asked:
            tasks.append(asyncio.create_task(take_turn(turnstile, order, name, ticket)))
            await asyncio.sleep(0)
    await asyncio.gather(*tasks)
    return order


async def test_turns_come_in_the_order_of_asking() -> None:
    turnstile, order = FairQueue("it"), list[str]()
    await asyncio.gather(*(take_turn(turnstile, order, name) for name in "abcde"))
    assert order == ["a", "b", "c", "d", "e"]


async def test_a_turn_that_comes_to_one_who_is_just_cancelled_goes_on_to_the_next() -> None:
    turnstile, order = FairQueue("it"), list[str]()
    first = turnstile.turn()
    await first.__aenter__()
    cancelled, last = (asyncio.create_task(take_turn(turnstile, order, name)) for name in ("cancelled", "last"))
    await asyncio.sleep(0)
    cancelled.cancel()
    first.leave()
    await asyncio.gather(cancelled, last, return_exceptions=True)
    assert order == ["last"]
    await asyncio.wait_for(take_turn(turnstile, order, "after"), 5)
    assert order == ["last", "after"]


async def test_clients_take_turns_whoever_asked_for_more() -> None:
    asked = [(name, QueueRequest(name[0])) for name in ["a1", "a2", "a3", "b1", "b2", "c1"]]
    assert await order_of(FairQueue("it"), asked) == ["a1", "b1", "c1", "a2", "b2", "a3"]


async def test_interactive_requests_go_first_and_batches_do_not_starve() -> None:
    asked = [("batch", QueueRequest("script", batch=True))]
    asked += [(f"window{number}", QueueRequest("window")) for number in range(5)]
    assert await order_of(FairQueue("it"), asked) == ["window0", "window1", "window2", "batch", "window3", "window4"]


async def test_batches_leave_one_of_several_places_free() -> None:
    turnstile = FairQueue("it", places=3)
    batches = [turnstile.turn(QueueRequest("script", batch=True)) for _ in range(4)]
    assert [place.position for place in batches] == [0, 0, 1, 2]
    window = turnstile.turn(QueueRequest("window"))
    assert window.position == 0
    window.leave()
    assert not batches[2].turn.done()
    batches[0].leave()
    assert batches[2].turn.done()


async def test_each_new_position_is_told_once() -> None:
    turnstile, told = FairQueue("it"), list[int]()
    holder = turnstile.turn(QueueRequest("a"))
    others = [turnstile.turn(QueueRequest("a")) for _ in range(2)]
    last = turnstile.turn(QueueRequest("a", on_move=told.append))
    assert (last.position, told) == (3, [])
    turnstile.turn(QueueRequest("b"))
    assert (last.position, told) == (4, [4])
    others[0].leave()
    assert told == [4, 3]
    holder.leave()
    assert told == [4, 3, 2]
    others[1].leave()
    assert told == [4, 3, 2, 1]


async def test_who_gives_up_waiting_blocks_nobody() -> None:
    turnstile, order = FairQueue("it"), list[str]()
    async with turnstile.turn():
        first = asyncio.create_task(take_turn(turnstile, order, "first"))
        second = asyncio.create_task(take_turn(turnstile, order, "second"))
        await asyncio.sleep(0)
        assert turnstile.waiting == 2
        first.cancel()
        await asyncio.gather(first, return_exceptions=True)
    await second
    assert order == ["second"]
    assert turnstile.waiting == 0


async def test_a_turn_that_comes_in_the_moment_of_giving_up_is_passed_on() -> None:
    turnstile, order = FairQueue("it"), list[str]()
    async with turnstile.turn():
        first = asyncio.create_task(take_turn(turnstile, order, "first"))
        second = asyncio.create_task(take_turn(turnstile, order, "second"))
        await asyncio.sleep(0)
    first.cancel()
    await asyncio.gather(first, second, return_exceptions=True)
    assert order == ["second"]


async def test_too_many_of_one_client_are_refused_at_once() -> None:
    turnstile = FairQueue("The session 'main'", max_waiting=1)
    async with turnstile.turn(QueueRequest("a")):
        waiting = asyncio.create_task(take_turn(turnstile, [], "a", QueueRequest("a")))
        await asyncio.sleep(0)
        with pytest.raises(OverloadedError, match="The session 'main' has 1 requests waiting from one client"):
            turnstile.turn(QueueRequest("a"))
        turnstile.turn(QueueRequest("b")).leave()
    await waiting


TICKETS = st.lists(st.builds(QueueRequest, st.sampled_from(["a", "b", "c", "d"]), st.booleans()), max_size=30)


@settings(max_examples=200, deadline=None)
@given(TICKETS, st.integers(1, 4))
def test_everyone_has_one_turn_and_positions_foretell_the_order(tickets: list[QueueRequest], places: int) -> None:
    async def go() -> None:
        turnstile = FairQueue("it", places=places)
        asked = [turnstile.turn(ticket) for ticket in tickets]
        waiting = [place for place in asked if not place.turn.done()]
        assert sorted(place.position for place in waiting) == list(range(1, len(waiting) + 1))
        holding = [place for place in asked if place.turn.done()]
        served = set(holding)
        while holding:
            assert len(holding) <= places
            holding.pop(0).leave()
            holding += [place for place in asked if place.turn.done() and place not in served]
            served |= set(holding)
        assert served == set(asked)

    asyncio.run(go())


async def test_a_client_that_asks_for_much_delays_another_by_one_turn() -> None:
    turnstile = FairQueue("it")
    flood = [turnstile.turn(QueueRequest("flood")) for _ in range(20)]
    window = turnstile.turn(QueueRequest("window"))
    assert window.position == 1
    flood[0].leave()
    assert window.turn.done()
