"""Run the relay on this process's stdin and stdout."""

from __future__ import annotations

import asyncio
import sys

from analystd.relay.relay import Relay
from analystd.util.inert_text import visible
from analystd.wire.framing import FramingError


def relay_stdio() -> int:
    """Relay this process's stdin and stdout, and return the exit status."""
    try:
        return asyncio.run(_relay_stdio())
    except KeyboardInterrupt:
        return 130


async def _relay_stdio() -> int:
    loop = asyncio.get_running_loop()
    reader = asyncio.StreamReader(limit=1 << 20)
    incoming, _ = await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), sys.stdin)
    transport, protocol = await loop.connect_write_pipe(asyncio.streams.FlowControlMixin, sys.stdout)
    writer = asyncio.StreamWriter(transport, protocol, None, loop)
    try:
        return await Relay(reader, writer).run()
    except FramingError as exc:
        print(visible(f"analystd: the input from the editor is not LSP: {exc}"), file=sys.stderr)  # noqa: T201
        return 1
    finally:
        incoming.close()
        transport.close()
