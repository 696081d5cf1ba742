"""`reset`."""

from __future__ import annotations

from analystd.cli.exit_status import EXIT_DONE
from analystd.cli.parser import Options
from analystd.cli.render import print_json
from analystd.client import connect


async def reset(options: Options) -> int:
    """Forget a session's variables, after what runs in it now; no limit keeps that from being done."""
    async with connect(options.workspace) as desk:
        state = await desk.reset_session(options.session)
    if options.json:
        print_json(state)
    else:
        print(f"The session '{state.name}' has been reset: its variables are gone, and what it had started was ended.")
    return EXIT_DONE
