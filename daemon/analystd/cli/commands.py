"""From parsed words to a command, and from errors to an exit status."""

from __future__ import annotations

import argparse
import asyncio
import sys
from collections.abc import Awaitable, Callable
from typing import Any

from analystd.cli import EXIT_FAILED, EXIT_NO_DAEMON, EXIT_REFUSED, EXIT_USAGE
from analystd.cli.output import OutputError, flush_output, give_up_output, inert_output
from analystd.cli.parser import parse_arguments
from analystd.errors import (
    AnalystdError,
    DaemonLostError,
    InvalidArgumentsError,
    ResourceLimitError,
    SessionUnavailableError,
    WorkspaceError,
)
from analystd.util.inert_text import json_text

Options = argparse.Namespace
Action = Callable[[Options], Awaitable[int]]


def run_command(argv: list[str]) -> int:
    """Parse and carry out; gives the exit status."""
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
        # After `--help`, or words that make no sense.
        return exc.code if isinstance(exc.code, int) else EXIT_USAGE
    try:
        if options.command == "serve":
            return _serve(options)
        return asyncio.run(_carry_out(_action(options.command), options))
    except AnalystdError as exc:
        _print_error(exc, as_json=getattr(options, "json", False))
        return _exit_status(exc)
    except OutputError:
        raise
    except OSError as exc:
        # A disk that is full, a folder that is not ours: the system's sentence, and no traceback of ours.
        where = f"{exc.filename}: " if exc.filename is not None else ""
        print(f"analystd: {where}{exc.strerror or exc}", file=sys.stderr)
        return EXIT_FAILED
    except KeyboardInterrupt:
        return 130


def _serve(options: Options) -> int:
    from analystd.server.serving import serve

    try:
        return serve(detach=options.detach)
    except DaemonLostError as exc:
        _print_error(exc, as_json=False)
        return EXIT_FAILED


async def _carry_out(action: Action, options: Options) -> int:
    return await action(options)


def _action(command: str) -> Action:
    from analystd.cli import demo, history, lifetime, models, setup, uninstall, work

    actions: dict[str, Action] = {
        "run": work.ask,
        "exec": work.execute,
        "view": work.view,
        "files": work.list_files,
        "runs": history.runs,
        "show": history.show,
        "cancel": history.cancel,
        "logs": history.logs,
        "status": lifetime.status,
        "stop": lifetime.stop,
        "doctor": setup.doctor,
        "model": models.model,
        "trust": setup.trust,
        "demo": demo.demo,
        "uninstall": uninstall.uninstall,
    }
    return actions[command]


def _print_error(error: AnalystdError, *, as_json: bool) -> None:
    if as_json:
        about: dict[str, Any] = {"kind": error.kind, "code": error.code, "message": error.message, "hint": error.hint}
        print(json_text({"error": {**about, "run_id": error.run_id}}))
        return
    print(f"{_label(error)}: {error.message}", file=sys.stderr)
    if error.hint:
        print(error.hint, file=sys.stderr)


def _label(error: AnalystdError) -> str:
    """The class's name for a refusal of the jail (`WorkspaceError: …`), else the program's."""
    return type(error).__name__ if isinstance(error, WorkspaceError | ResourceLimitError) else "analystd"


def _exit_status(error: AnalystdError) -> int:
    if isinstance(error, DaemonLostError):
        return EXIT_NO_DAEMON
    if isinstance(error, InvalidArgumentsError):
        return EXIT_USAGE
    if isinstance(error, WorkspaceError | ResourceLimitError | SessionUnavailableError):
        return EXIT_REFUSED
    return EXIT_FAILED
