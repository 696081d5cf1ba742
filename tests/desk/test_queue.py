from __future__ import annotations

import asyncio

import pytest

from analystd.desk.queue import Turnstile
from analystd.errors import OverloadedError


async def take_turn(turnstile: Turnstile, order: list[int], number: int) -> None:
    async with turnstile.turn():
        order.append(number)
        await asyncio.sleep(0)


async def test_turns_come_in_the_order_of_asking() -> None:
    turnstile, order = Turnstile("it"), list[int]()
    await asyncio.gather(*(take_turn(turnstile, order, number) for number in range(5)))
    assert order == [0, 1, 2, 3, 4]


async def test_who_gives_up_waiting_blocks_nobody() -> None:
    turnstile, order = Turnstile("it"), list[int]()
    async with turnstile.turn():
        first = asyncio.create_task(take_turn(turnstile, order, 1))
        second = asyncio.create_task(take_turn(turnstile, order, 2))
        await asyncio.sleep(0)
        assert turnstile.position == 3
        first.cancel()
        await asyncio.gather(first, return_exceptions=True)
    await second
    assert order == [2]
    assert turnstile.position == 0


async def test_a_turn_that_comes_in_the_moment_of_giving_up_is_passed_on() -> None:
    turnstile, order = Turnstile("it"), list[int]()
    async with turnstile.turn():
        first = asyncio.create_task(take_turn(turnstile, order, 1))
        second = asyncio.create_task(take_turn(turnstile, order, 2))
        await asyncio.sleep(0)
    first.cancel()
    await asyncio.gather(first, second, return_exceptions=True)
    assert order == [2]


async def test_too_many_are_refused_at_once() -> None:
    turnstile = Turnstile("The session 'main'", max_waiting=1)
    async with turnstile.turn():
        waiting = asyncio.create_task(take_turn(turnstile, [], 1))
        await asyncio.sleep(0)
        with pytest.raises(OverloadedError, match="The session 'main' has 1 requests waiting"):
            async with turnstile.turn():
                pass
    await waiting
