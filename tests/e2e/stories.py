"""Following a run of an agent as it happens, for tests that interfere with it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

from analystd.client import Client, Event
from analystd.wire.errors import AnalystdError

SECONDS = 90.0
"""Far more than anything here takes, also on a machine with other work."""


class Story:
    """A question under way: its events, and in the end its result or error."""

    def __init__(self, client: Client, prompt: str, **options: Any) -> None:
        self.events: list[Event] = []
        self._client = client
        self._prompt = prompt
        self._news = asyncio.Event()
        self._stop = client.on_event(self._take)
        self.task = asyncio.create_task(client.run_agent(prompt, **options))

    @property
    def run_id(self) -> str:
        run_id = self.events[0].run_id
        assert run_id is not None
        return run_id

    async def until(self, is_it: Callable[[Event], bool]) -> Event:
        """The first event that it is."""
        async with asyncio.timeout(SECONDS):
            while True:
                self._news.clear()
                for event in self.events:
                    if is_it(event):
                        return event
                await self._news.wait()

    async def until_kind(self, kind: str) -> Event:
        return await self.until(lambda event: event["kind"] == kind)

    async def cancel(self) -> dict[str, Any]:
        """The result after the run was cancelled by its id."""
        await self._client.cancel_run(self.run_id)
        return await self.end()

    async def end(self) -> dict[str, Any]:
        """The result; an error as `{"status": "failed", "error": …}`."""
        try:
            async with asyncio.timeout(SECONDS):
                return dict(await self.task)
        except AnalystdError as exc:
            return {"status": "failed", "error": {"kind": exc.kind, "message": exc.message}}
        finally:
            self._stop()

    def _take(self, event: Event) -> None:
        is_first = event["kind"] == "run_queued" and event.get("prompt") == self._prompt
        if (not self.events and is_first) or (self.events and event["run_id"] == self.events[0]["run_id"]):
            self.events.append(event)
            self._news.set()
