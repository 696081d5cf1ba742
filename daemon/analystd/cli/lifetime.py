"""`status` and `stop`: show the running daemons, and end them."""

from __future__ import annotations

import contextlib
import math
import os
import signal
import time
from collections.abc import Callable
from typing import Any

from analystd import __version__
from analystd.cli.exit_status import EXIT_DONE
from analystd.cli.parser import Options
from analystd.cli.render import engine_lines, gigabytes, print_json
from analystd.client import connect_to_daemon
from analystd.discovery.dial import HELLO_SECONDS, ask_daemon
from analystd.discovery.registry import DaemonInfo, known_cards, live_cards, remove_traces
from analystd.discovery.sessions_with_variables import kept_in
from analystd.util.inert_text import one_line
from analystd.wire.errors import DaemonLostError
from analystd.wire.names import Command

_STOP_SECONDS = 30.0
_TERMINATE_SECONDS = 5.0
_LOOK_AGAIN_SECONDS = 0.02
_SOCKET_SECONDS = 6.0
_ASK_AGAIN_SECONDS = 0.2


async def status(options: Options) -> int:
    """Show what the daemon is doing. This never starts one."""
    known_cards()
    async with await connect_to_daemon() as client:
        about = await client.status()
    others = [card for card in live_cards() if card.pid != about["pid"]]
    if options.json:
        print_json(about)
        return EXIT_DONE
    engine, sandbox = about["engine"], about["sandbox"]
    uptime, memory = f"{about['uptime_seconds']:.0f} s", gigabytes(about["memory_bytes"])
    print(f"analystd {about['version']}, pid {about['pid']}, up {uptime}, {memory}")
    if about["version"] != __version__:
        print(f"         this command is {__version__}: after `analystd stop`, the next command starts that version")
    for card in others:
        print(
            f"         analystd {card.version}, pid {card.pid}, {'is handing over' if card.hands_over else 'is running'} too"
        )
    _print_engine(engine)
    print(f"sandbox  {sandbox['level']}: {sandbox['reason']}")
    print(f"clients  {', '.join(client['name'] for client in about['clients'])}")
    print(f"log      {about['log']}")
    for problem in about["problems"]:
        print(f"problem  {problem}")
    for desk in about["desks"]:
        _print_desk(desk)
    return EXIT_DONE


async def stop(options: Options) -> int:
    """Stop the daemons of all versions, after their runs or at once, and wait until they are gone."""
    cards = known_cards()
    say = _say_nothing if options.json else _say
    for card in cards:
        end_daemon(card, now=options.now, say=say)
        say(f"The daemon (pid {card.pid}) has stopped.")
    if options.json:
        print_json({"pid": cards[0].pid if cards else None, "stopped": bool(cards)})
    elif not cards:
        print("No analystd daemon is running.")
    return EXIT_DONE


def end_daemon(card: DaemonInfo, *, now: bool, say: Callable[[str], None]) -> None:
    """Stop a daemon after its runs, or at once, and return when it is gone. `say` prints what it waits for and what is lost.

    Raises:
        DaemonLostError: when it does not answer, or with `now` when even killing it does not end it.
    """
    patience = _STOP_SECONDS if now else math.inf
    try:
        _ask_to_end(card, now=now, say=say)
    except TimeoutError as exc:
        if not now:
            raise DaemonLostError(
                f"The daemon (pid {card.pid}) has not answered for {HELLO_SECONDS:g} s",
                "`analystd stop --now` kills it.",
            ) from exc
        _kill(card, say)
    except (OSError, DaemonLostError):
        # It is ending already; or it cannot be reached, because its socket was removed and cannot be restored.
        patience = _STOP_SECONDS
    if not _is_gone(card, patience):
        if not now:
            raise DaemonLostError(
                f"The daemon (pid {card.pid}) accepts no connections, and has not ended within {patience:g} s",
                "`analystd stop --now` kills it.",
            )
        _kill(card, say)


def _ask_to_end(card: DaemonInfo, *, now: bool, say: Callable[[str], None]) -> None:
    """Ask a daemon to end. A daemon restores a removed socket within seconds; until then, try again."""
    deadline = time.monotonic() + _SOCKET_SECONDS
    while True:
        try:
            desks = _desks(card)
            _print_end(desks, ask_daemon(card, Command.SHUTDOWN, now=now), now=now, say=say)
        except TimeoutError:
            raise
        except (OSError, DaemonLostError):
            if not card.is_live or time.monotonic() > deadline:
                raise
            time.sleep(_ASK_AGAIN_SECONDS)
        else:
            return


def _desks(card: DaemonInfo) -> list[dict[str, Any]]:
    """Return the desks as `status` reports them; none when the daemon refuses, since it can be stopped all the same."""
    with contextlib.suppress(DaemonLostError):
        desks: list[dict[str, Any]] = ask_daemon(card, Command.STATUS)["desks"]
        return desks
    return []


def _print_end(desks: list[dict[str, Any]], report: dict[str, Any], *, now: bool, say: Callable[[str], None]) -> None:
    runs = [run for desk in desks for run in desk["runs"] if run["run_id"] in report["runs"]]
    for run in runs:
        say(f"{'Cancelled' if now else 'Waiting for'} {run['run_id']} ({run['kind']}): {one_line(run['title'])}")
    if runs and not now:
        say("New runs are refused meanwhile; `analystd stop --now` cancels these.")
    if kept := report.get("sessions"):
        say(f"These variables are lost: {kept_in(kept)}.")


def _kill(card: DaemonInfo, say: Callable[[str], None]) -> None:
    """Kill a daemon that does not end, and remove its files."""
    for number, seconds in ((signal.SIGTERM, _TERMINATE_SECONDS), (signal.SIGKILL, _STOP_SECONDS)):
        with contextlib.suppress(ProcessLookupError):
            if card.is_live:
                os.kill(card.pid, number)
        if _is_gone(card, seconds):
            break
    else:
        raise DaemonLostError(f"The daemon (pid {card.pid}) does not end even when killed", "Restart the machine.")
    remove_traces(card.address)
    say(f"The daemon (pid {card.pid}) did not answer and was killed.")


def _is_gone(card: DaemonInfo, seconds: float) -> bool:
    deadline = time.monotonic() + seconds
    while (is_live := card.is_live) and time.monotonic() < deadline:
        time.sleep(_LOOK_AGAIN_SECONDS)
    return not is_live


def _say(line: str) -> None:
    print(line, flush=True)


def _say_nothing(_line: str) -> None:
    return None


def _print_engine(engine: dict[str, Any] | None) -> None:
    if engine is None:
        print("model    not used yet")
        return
    state = "loaded" if engine["loaded"] else engine["note"] or "not loaded now"
    print(f"model    {engine['model']} ({engine['kind']}, {state})")
    for line in engine_lines(engine):
        print(f"         {line}")


def _print_desk(desk: dict[str, Any]) -> None:
    print(f"desk     {one_line(desk['workspace'])}")
    # A daemon of an older version has no such field.
    if desk.get("problem"):
        print(f"  {one_line(desk['problem'])}")
        print(f"  {one_line(desk['hint'])}")
    resources = desk["resources"]
    if "error" in resources:
        if not desk.get("problem"):
            print(f"  {resources['error']}")
    else:
        print(
            f"  {resources['workspace_size_gb']:.2f} of {resources['workspace_limit_gb']:g} GB used, "
            f"{resources['ram_free_percent']:.0f} % of RAM free, {desk['seq']} events in {desk['journal']}"
        )
    if desk.get("quarantined"):
        entries = "1 entry" if desk["quarantined"] == 1 else f"{desk['quarantined']} entries"
        print(f"  {entries} in quarantine; see `analystd quarantine`")
    for session in desk["sessions"]:
        memory = f", {gigabytes(session['memory_bytes'])}" if session["memory_bytes"] else ""
        count = session["execution_count"]
        cells = f"{count} cell{'s' * (count != 1)}"
        print(f"  session {session['name']}: {session['state']}, {cells}{memory}")
    for run in desk["runs"]:
        place = f" on {run['session']}" if run["session"] else ""
        print(f"  {run['status']} {run['run_id']} {run['kind']}{place} by {run['client']}: {one_line(run['title'])}")
    if desk["journal_problem"]:
        print(
            f"  the journal cannot be written: {desk['journal_problem']}; {desk['unwritten_events']} events are waiting"
        )
