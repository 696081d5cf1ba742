"""`reset`: forget the variables of a session."""

from __future__ import annotations

from analystd.cli.exit_status import EXIT_DONE
from analystd.cli.parser import Options
from analystd.cli.render import print_json
from analystd.client import connect


async def reset(options: Options) -> int:
    """Reset a session once its current code has ended; this works even when a resource limit has been reached."""
    async with connect(options.workspace) as desk:
        state = await desk.reset_session(options.session)
    if options.json:
        print_json(state)
    else:
        print(
            f"The session '{state.name}' has been reset: its variables are gone, and the processes that it started have ended."
        )
    return EXIT_DONE
