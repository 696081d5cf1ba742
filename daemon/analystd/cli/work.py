"""`run`, `exec`, `view`, `files`."""

from __future__ import annotations

import asyncio
import signal
import sys
from collections.abc import Coroutine
from typing import Any, TypeVar

from analystd.cli import EXIT_DONE, EXIT_FAILED, EXIT_REFUSED
from analystd.cli.commands import Options
from analystd.cli.render import ProgressLine, Terminal, print_json
from analystd.client import Client, connect
from analystd.protocol import EventKind

T = TypeVar("T")


async def ask(options: Options) -> int:
    """Ask the model: the trail goes to stderr as it happens, the answer to stdout."""
    given = {name: getattr(options, name) for name in ("conversation", "session", "max_steps", "max_seconds")}
    given["priority"] = "batch" if options.batch else None
    async with await connect(options.workspace) as client:
        if not options.json:
            _show_own_events(client, Terminal())
        result = await _cancellable(client.run_agent(_text(options.prompt), **_present(given)))
    if options.json:
        print_json(result)
    else:
        print(result["answer"])
        _print_cost(result["run_id"], result["status"], result["usage"], len(result["steps"]))
    return {"done": EXIT_DONE, "limit": EXIT_REFUSED}.get(result["status"], EXIT_FAILED)


async def execute(options: Options) -> int:
    """Run Python: its streams as they come, then the last value or the traceback."""
    given = {"session": options.session, "timeout_seconds": options.timeout, "reset": options.reset or None}
    given["priority"] = "batch" if options.batch else None
    async with await connect(options.workspace) as client:
        if not options.json:
            client.on_event(lambda event: _print_output(client, event))
        result = await _cancellable(client.exec_python(_text(options.code), **_present(given)))
    if options.json:
        print_json(result)
    else:
        _print_execution(result)
    return {"ok": EXIT_DONE, "limit": EXIT_REFUSED}.get(result["status"], EXIT_FAILED)


async def view(options: Options) -> int:
    """Look at a table; where that takes long, stderr tells how far it is, if it is a terminal."""
    names = ("offset", "columns", "filter", "sort", "delimiter")
    given = {"n_rows": options.n, **{name: getattr(options, name) for name in names}}
    async with await connect(options.workspace) as client:
        with ProgressLine(f"Reading {options.path}") as line:
            work = client.view_data(options.path, options.operation, on_progress=line.tell, **_present(given))
            result = await _cancellable(work)
    if options.json:
        print_json(result)
        return EXIT_DONE
    print(result["text"])
    for warning in result["warnings"]:
        print(f"warning: {warning}", file=sys.stderr)
    return EXIT_DONE


async def list_files(options: Options) -> int:
    """List a folder of the workspace."""
    async with await connect(options.workspace) as client:
        result = await client.list_files(options.path, **_present({"recursive": options.recursive or None}))
    if options.json:
        print_json(result)
    else:
        print(result["text"])
    return EXIT_DONE


async def _cancellable(work: Coroutine[Any, Any, T]) -> T:
    """Await `work`; Ctrl-C cancels the run behind it."""
    task = asyncio.ensure_future(work)
    asyncio.get_running_loop().add_signal_handler(signal.SIGINT, task.cancel)
    try:
        return await task
    except asyncio.CancelledError:
        raise KeyboardInterrupt from None
    finally:
        asyncio.get_running_loop().remove_signal_handler(signal.SIGINT)


def _show_own_events(client: Client, terminal: Terminal) -> None:
    client.on_event(lambda event: terminal.event(event) if event["client"] == client.about["client"] else None)


def _print_output(client: Client, event: Any) -> None:
    if event["kind"] == EventKind.OUTPUT and event["client"] == client.about["client"]:
        stream = sys.stderr if event["stream"] == "stderr" else sys.stdout
        print(event["text"], end="", file=stream, flush=True)


def _print_execution(result: Any) -> None:
    if result["result"] is not None:
        print(result["result"])
    for display in result["displays"]:
        print(f"[display: {', '.join(sorted(display))}]", file=sys.stderr)
    if result["error"] is not None:
        print("\n".join(result["error"]["traceback"]), file=sys.stderr)
    elif result["status"] != "ok":
        print(f"[the code ended with status {result['status']}; {result['run_id']}]", file=sys.stderr)


def _print_cost(run_id: str, status: str, usage: Any, steps: int) -> None:
    tokens = f"{usage['prompt_tokens']} prompt tokens ({usage['cached_tokens']} cached), {usage['completion_tokens']} generated"
    print(f"{run_id}: {status}, {steps} calls, {tokens}, {usage['seconds']:.1f} s", file=sys.stderr)


def _text(argument: str) -> str:
    return sys.stdin.read() if argument == "-" else argument


def _present(options: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in options.items() if value is not None}
