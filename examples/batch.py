"""Put several questions at once: as a batch, so that whoever sits in front of an editor goes first, and with limits of time.

python examples/batch.py [SECONDS]
"""

import asyncio
import sys

import analystd
from analystd.client import AgentResult, Client, RequestTimeoutError

SECONDS = float(sys.argv[1]) if len(sys.argv) > 1 else 30.0
NAMES = ("north", "south", "east")


async def ask(desk: Client, name: str) -> AgentResult | None:
    question = f"How many rows does {name}.csv have?"
    async with desk.start_agent(question, priority="batch", max_steps=2, max_seconds=SECONDS) as run:
        # `max_seconds` counts from the run's start; this, from now on, the time in the queue, too.
        try:
            return await run.result(timeout=2 * SECONDS)
        except RequestTimeoutError:
            return None


async def main() -> None:
    async with analystd.connect(name="batch") as desk:
        for number, name in enumerate(NAMES):
            await desk.write_file(f"{name}.csv", "shop,sales\n" + "a,1\n" * (number + 2))
        results = await asyncio.gather(*(ask(desk, name) for name in NAMES))
        for name, result in zip(NAMES, results, strict=True):
            told = "cancelled: its time was over" if result is None else f"{result.status}: {result.answer}"
            print(f"{name:>6}  {told}")


asyncio.run(main())
