"""Sessions, windows and memory, through the whole stack: client, socket, daemon, sandbox, kernel."""

from __future__ import annotations

import asyncio
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import psutil
from jupyter_client.asynchronous.client import AsyncKernelClient
from jupyter_client.manager import AsyncKernelManager

from analystd.client import Client, connect
from analystd.wire import framing

ROUNDS = 200
RESETS = 15
WINDOWS = 15


async def main() -> None:
    with tempfile.TemporaryDirectory(prefix="bench-") as home:
        os.environ |= {
            "XDG_STATE_HOME": f"{home}/state",
            "XDG_CONFIG_HOME": f"{home}/config",
            "AGENT_MODEL_PATH": f"{home}/m.jsonl",
        }
        Path(home, "m.jsonl").write_text("")
        async with await connect(f"{home}/workspace") as desk, plain_kernel() as plain:
            memory = psutil.Process((await desk.status())["pid"]).memory_info().rss
            ours, theirs = await round_trips(desk, plain)
            reset, restart = await resets(desk, plain)
            windows = [await second_window(Path(home)) for _ in range(WINDOWS)]
            level = desk.about["sandbox"]["level"]
            await desk.shutdown(now=True)
    print(f"sandbox level {level}; medians of {ROUNDS} round trips, {RESETS} resets, {WINDOWS} windows")
    row("Python round trip", ours, theirs)
    row("reset to first result", reset, restart)
    print(f"{'second window: relay start to initialize':<44} {statistics.median(windows) * 1000:8.1f} ms")
    print(f"{'daemon idle, no model, no session':<44} {memory / 1e6:8.1f} MB")


def row(what: str, ours: list[float], theirs: list[float]) -> None:
    a, b = statistics.median(ours), statistics.median(theirs)
    print(f"{what:<44} {a * 1000:8.1f} ms   jupyter_client {b * 1000:8.1f} ms   ratio {a / b:.2f}")


async def timed(work: Callable[[], Awaitable[object]]) -> float:
    started = time.perf_counter()
    await work()
    return time.perf_counter() - started


async def round_trips(desk: Client, plain: AsyncKernelClient) -> tuple[list[float], list[float]]:
    ours, theirs = [], []
    for number in range(ROUNDS + 10):
        a = await timed(lambda: desk.exec_python("1 + 1"))
        b = await timed(lambda: plain.execute_interactive("1 + 1", output_hook=lambda message: None))
        if number >= 10:
            ours.append(a)
            theirs.append(b)
    return ours, theirs


async def resets(desk: Client, plain: AsyncKernelClient) -> tuple[list[float], list[float]]:
    """Measure resets: ours with the spare ready, and theirs as a restart of the kernel, each with a first result."""
    ours, theirs = [], []
    for _ in range(RESETS):
        await asyncio.sleep(3)
        ours.append(await timed(lambda: desk.exec_python("1 + 1", reset=True)))
        theirs.append(await timed(lambda: restart(plain)))
    return ours, theirs


async def restart(plain: AsyncKernelClient) -> None:
    assert plain.parent is not None
    await plain.parent.restart_kernel(now=True)
    await plain.wait_for_ready()
    await plain.execute_interactive("1 + 1", output_hook=lambda message: None)


@asynccontextmanager
async def plain_kernel() -> AsyncIterator[AsyncKernelClient]:
    manager = AsyncKernelManager(transport="ipc")
    await manager.start_kernel()
    client = manager.client()
    client.start_channels()
    await client.wait_for_ready()
    try:
        yield client
    finally:
        client.stop_channels()
        await manager.shutdown_kernel(now=True)


async def second_window(home: Path) -> float:
    params: dict[str, Any] = {"processId": None, "rootUri": home.as_uri(), "capabilities": {}}
    started = time.perf_counter()
    relay = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "analystd", "stdio", stdin=subprocess.PIPE, stdout=subprocess.PIPE, limit=1 << 20
    )
    assert relay.stdin is not None
    assert relay.stdout is not None
    relay.stdin.write(framing.frame({"jsonrpc": "2.0", "id": 1, "method": "initialize", "params": params}))
    answer = json.loads(await framing.read_body(relay.stdout) or b"{}")
    taken = time.perf_counter() - started
    assert "result" in answer, answer
    relay.stdin.close()
    await relay.wait()
    return taken


asyncio.run(main())
