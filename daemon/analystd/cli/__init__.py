"""The command line. An editor starts `stdio`, which must come up fast; so the other commands are imported only when one is run."""

from __future__ import annotations

import sys
from collections.abc import Sequence


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command.

    Returns:
        The exit status: 0 done, 1 the run or the code failed, 2 usage, 3 no daemon, 4 refused (jail or limit).
    """
    arguments = list(sys.argv[1:] if argv is None else argv)
    if arguments[:1] == ["stdio"] and not {"-h", "--help"} & set(arguments):
        from analystd.relay.stdio import relay_stdio

        return relay_stdio()
    from analystd.cli.commands import run_command

    return run_command(arguments)
