"""Call the function of a parsed command, and turn errors into an exit status."""

from __future__ import annotations

import asyncio
import os
import traceback
from collections.abc import Awaitable, Callable

from analystd.cli.exit_status import EXIT_FAILED, EXIT_USAGE, exit_status_of
from analystd.cli.output import OutputError, flush_output, give_up_output, inert_output, print_error
from analystd.cli.parser import Options, parse_arguments
from analystd.wire.errors import AnalystdError, DaemonLostError

Action = Callable[[Options], Awaitable[int]]


def run_command(argv: list[str]) -> int:
    """Parse a command line, run its command, and return the exit status."""
    with inert_output():
        try:
            status = _run(argv)
            flush_output()
        except OutputError as exc:
            return give_up_output(exc)
    return status


def _run(argv: list[str]) -> int:
    try:
        options = parse_arguments(argv)
    except SystemExit as exc:
        # After `--help`, or invalid arguments.
        return exc.code if isinstance(exc.code, int) else EXIT_USAGE
    try:
        if options.command == "serve":
            return _serve(options)
        return asyncio.run(_carry_out(_action(options.command), options))
    except AnalystdError as exc:
        print_error(exc, as_json=getattr(options, "json", False))
        return exit_status_of(exc)
    except KeyboardInterrupt:
        return 130
    except OutputError:
        raise
    except Exception as exc:
        print_error(_described(exc), as_json=getattr(options, "json", False))
        return EXIT_FAILED


def _described(exc: Exception) -> AnalystdError:
    """Describe an unexpected exception: the system's message, or for a fault of ours the line that raised it."""
    if isinstance(exc, OSError) and exc.strerror:
        return AnalystdError(f"{exc.strerror}: {os.fsdecode(exc.filename)}" if exc.filename else exc.strerror)
    frame = traceback.extract_tb(exc.__traceback__)[-1]
    return AnalystdError(
        f"Internal error: {type(exc).__name__}: {exc} (in {frame.filename}, line {frame.lineno})",
        "This is a fault of analystd; please report it.",
    )


def _serve(options: Options) -> int:
    from analystd.server.daemon_main import serve

    try:
        return serve(detach=options.detach)
    except DaemonLostError as exc:
        print_error(exc, as_json=False)
        return EXIT_FAILED


async def _carry_out(action: Action, options: Options) -> int:
    return await action(options)


def _action(command: str) -> Action:
    from analystd.cli import chat, demo, history, lifetime, models, quarantine, sessions, setup, uninstall, work

    actions: dict[str, Action] = {
        "run": work.ask,
        "chat": chat.chat,
        "exec": work.execute,
        "reset": sessions.reset,
        "view": work.view,
        "files": work.list_files,
        "runs": history.runs,
        "show": history.show,
        "cancel": history.cancel,
        "logs": history.logs,
        "quarantine": quarantine.quarantine,
        "status": lifetime.status,
        "stop": lifetime.stop,
        "doctor": setup.doctor,
        "model": models.model,
        "trust": setup.trust,
        "demo": demo.demo,
        "uninstall": uninstall.uninstall,
    }
    return actions[command]
