from __future__ import annotations

import asyncio
import itertools

from analystd.desk.text_batcher import BATCH_SECONDS, TextBatcher

WAIT = 5.0


class Heard:
    """The pieces that were passed on, and when."""

    def __init__(self) -> None:
        self.pieces: list[tuple[str, str]] = []
        self.times: list[float] = []

    def __call__(self, key: str, text: str) -> None:
        self.pieces.append((key, text))
        self.times.append(asyncio.get_running_loop().time())

    async def until(self, count: int) -> None:
        async with asyncio.timeout(WAIT):
            while len(self.pieces) < count:
                await asyncio.sleep(0.001)


async def test_pieces_that_come_at_once_are_handed_on_as_one() -> None:
    heard = Heard()
    batcher = TextBatcher(heard)
    for piece in "abc":
        batcher.add("model", piece)
    assert heard.pieces == []
    await heard.until(1)
    assert heard.pieces == [("model", "abc")]


async def test_pieces_of_another_key_hand_on_what_is_there() -> None:
    heard = Heard()
    batcher = TextBatcher(heard)
    batcher.add("stdout", "a")
    batcher.add("stderr", "b")
    assert heard.pieces == [("stdout", "a")]
    batcher.flush()
    assert heard.pieces == [("stdout", "a"), ("stderr", "b")]


async def test_a_steady_flow_is_handed_on_as_it_comes() -> None:
    heard = Heard()
    batcher = TextBatcher(heard)
    batcher.add("model", "a")
    await heard.until(1)
    await asyncio.sleep(2 * BATCH_SECONDS)
    batcher.add("model", "b")
    assert heard.pieces == [("model", "a"), ("model", "b")]


async def test_nothing_is_handed_on_sooner_than_the_time_after_the_last() -> None:
    heard = Heard()
    batcher = TextBatcher(heard)
    for number in range(60):
        batcher.add("model", str(number))
        await asyncio.sleep(0.005)
    batcher.flush()
    # The last piece was flushed and may come at any time.
    between = [after - before for before, after in itertools.pairwise(heard.times[:-1])]
    assert between
    assert min(between) > 0.9 * BATCH_SECONDS
    assert "".join(text for _, text in heard.pieces) == "".join(map(str, range(60)))
