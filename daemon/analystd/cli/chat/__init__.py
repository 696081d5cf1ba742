"""`chat`: questions and answers at a terminal, or line by line from a pipe."""

from __future__ import annotations

import sys

from analystd.cli.parser import Options


async def chat(options: Options) -> int:
    """Talk with the model until the user leaves; without a terminal, answer each line of stdin."""
    if sys.stdin is not None and sys.stdin.isatty() and sys.stdout.isatty():
        from analystd.cli.chat.interactive import talk

        return await talk(options)
    from analystd.cli.chat.piped import answer_lines

    return await answer_lines(options)
