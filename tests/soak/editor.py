"""An editor's window in small: it starts a relay, asks through it, and starts another one when that was killed."""

from __future__ import annotations

import asyncio
import itertools
import json
from collections import Counter
from dataclasses import dataclass, field
from typing import Any

from tests.station import Station

from analystd.wire import framing

Message = dict[str, Any]


@dataclass
class Tally:
    """What became of requests."""

    asked: int = 0
    outcomes: Counter[str] = field(default_factory=Counter)
    """How often a request ended in each way: a status, an error's kind, or `relay killed`."""
    wrong: list[str] = field(default_factory=list)
    """Answers that came twice, or to nothing that was asked."""


class Editor:
    """One window: one relay at a time."""

    def __init__(self, station: Station, tally: Tally) -> None:
        self._station = station
        self._tally = tally
        self._numbers = itertools.count(1)
        self._pending: dict[int, asyncio.Future[Message]] = {}
        self._answered: set[int] = set()
        self._relay: asyncio.subprocess.Process | None = None
        self._listening: asyncio.Task[None] | None = None

    @property
    def relay_pid(self) -> int | None:
        """The relay that is running, if one is."""
        return self._relay.pid if self._relay is not None and self._relay.returncode is None else None

    async def ask(self, command: str, seconds: float, **arguments: Any) -> Message | None:
        """The answer to a command; None when the relay was killed meanwhile. `TimeoutError` when none comes."""
        if self.relay_pid is None and not await self._open():
            return None
        params = {"command": f"analystd.{command}", "arguments": [arguments]}
        return await self._request("workspace/executeCommand", params, seconds)

    async def close(self) -> None:
        """Take leave as LSP has it."""
        if self.relay_pid is not None:
            await self._request("shutdown", None, 60)
            self._send({"method": "exit"})
        if self._relay is not None:
            await asyncio.wait_for(self._relay.wait(), 60)
        if self._listening is not None:
            await self._listening

    async def _open(self) -> bool:
        if self._listening is not None:
            await self._listening
        self._relay = await asyncio.create_subprocess_exec(
            *self._station.command("stdio"),
            cwd=self._station.project,
            env=self._station.environment,
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            limit=1 << 20,
        )
        self._listening = asyncio.create_task(self._listen(self._relay))
        options = {"workspace": str(self._station.workspace)}
        params = {"processId": None, "rootUri": None, "capabilities": {}, "initializationOptions": options}
        while (answer := await self._request("initialize", params, 120)) is not None:
            if "result" in answer:
                self._send({"method": "initialized", "params": {}})
                return True
        return False

    async def _request(self, method: str, params: Any, seconds: float) -> Message | None:
        number = next(self._numbers)
        future = self._pending[number] = asyncio.get_running_loop().create_future()
        self._tally.asked += 1
        self._send({"id": number, "method": method, "params": params})
        try:
            answer: Message = await asyncio.wait_for(asyncio.shield(future), seconds)
        except asyncio.CancelledError:
            if not future.cancelled():
                raise
            self._tally.outcomes["relay killed"] += 1
            return None
        self._tally.outcomes[_outcome(answer)] += 1
        return answer

    def _send(self, message: Message) -> None:
        assert self._relay is not None and self._relay.stdin is not None
        if not self._relay.stdin.is_closing():
            self._relay.stdin.write(framing.frame({"jsonrpc": "2.0", **message}))

    async def _listen(self, relay: asyncio.subprocess.Process) -> None:
        assert relay.stdout is not None
        try:
            while (body := await framing.read_body(relay.stdout)) is not None:
                self._take(json.loads(body))
        except (framing.FramingError, OSError):
            # A relay that is killed may leave half a message.
            pass
        await relay.wait()
        for future in self._pending.values():
            future.cancel()
        self._pending.clear()

    def _take(self, message: Message) -> None:
        if "method" in message:
            return
        future = self._pending.pop(message.get("id") or 0, None)
        if future is None:
            twice = message.get("id") in self._answered
            self._tally.wrong.append(f"{'a second' if twice else 'an'} answer to {message.get('id')}: {message}")
            return
        self._answered.add(message["id"])
        future.set_result(message)


def _outcome(answer: Message) -> str:
    if "error" in answer:
        return str((answer["error"].get("data") or {}).get("kind") or answer["error"]["code"])
    result = answer["result"]
    return str(result.get("status", "ok")) if isinstance(result, dict) else "ok"
