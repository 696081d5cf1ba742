"""The plain client: what plain code, threads, forks, Ctrl-C and the end of a program do with it."""

from __future__ import annotations

import gc
import inspect
import os
import pydoc
import signal
import subprocess
import sys
import textwrap
import threading
import warnings
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest
from tests.e2e.users import become_user, kill_daemon
from tests.station import Station

import analystd
from analystd.client import Client, RequestTimeoutError, Run, SyncClient, SyncRun
from analystd.wire.errors import DaemonLostError

SECONDS = 60.0
WAIT = "import time\nprint('waits', flush=True)\nwhile True: time.sleep(0.05)"


@pytest.fixture(autouse=True)
def as_the_stations_user(station: Station, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    become_user(station, monkeypatch)
    yield


def run_script(station: Station, script: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-X", "dev", "-c", textwrap.dedent(script)],
        cwd=station.project,
        env=station.environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def interrupted(script: subprocess.Popen[str]) -> str:
    """What a script has to say of Ctrl-C, pressed again as a user would: Python loses one that comes in a callback of the garbage collector."""
    for seconds in (SECONDS / 4, SECONDS):
        script.send_signal(signal.SIGINT)
        try:
            return script.communicate(timeout=seconds)[1]
        except subprocess.TimeoutExpired:
            continue
    script.kill()
    return script.communicate()[1]


def test_it_does_what_the_async_client_does() -> None:
    with analystd.connect_sync() as desk:
        desk.exec_python("plain = 5")
        assert desk.exec_python("plain").result == "5"
        (variable,) = [each for each in desk.variables().variables if each.name == "plain"]
        assert (variable.type, variable.preview) == ("int", "5")
        assert desk.reset_session().state in ("idle", "absent")
        assert desk.exec_python("'plain' in dir()").result == "False"


@pytest.mark.parametrize(("plain", "model"), [(SyncClient, Client), (SyncRun, Run)])
def test_it_has_every_method_with_the_same_arguments_and_words(plain: type, model: type) -> None:
    others = {"aclose", "stream", "connected", "close", "portal"}
    for name, method in inspect.getmembers(model, inspect.isfunction):
        if not name.startswith("_") and name not in others:
            ours = getattr(plain, name)
            assert list(inspect.signature(ours).parameters) == list(inspect.signature(method).parameters), name
            assert (inspect.getdoc(ours) or "").startswith("As `") is False, name


def test_help_tells_what_can_be_done() -> None:
    told = pydoc.plain(pydoc.render_doc(analystd.connect_sync)) + pydoc.plain(pydoc.render_doc(SyncClient))
    for name in ("run_agent", "start_python", "view_data", "follow", "to_pandas", "timeout", "DaemonLostError"):
        assert name in told


def test_events_come_by_a_plain_for() -> None:
    with analystd.connect_sync() as desk:
        before = desk.seq
        run = desk.start_python("print('one')")
        assert [event.kind for event in run.events(timeout=SECONDS)] == [
            "run_queued",
            "run_started",
            "output",
            "run_finished",
        ]
        assert run.result().stdout == "one\n"
        with desk.follow(after=before, timeout=0.1) as events, pytest.raises(RequestTimeoutError):
            assert {event.run_id for event in events} == {run.id}
        assert events.seq == desk.seq


def test_leaving_the_block_cancels_what_is_left_of_the_run() -> None:
    with analystd.connect_sync() as desk:
        with desk.start_python(WAIT, session="left") as run:
            assert "output" in (event.kind for event in run.events(timeout=SECONDS))
        assert desk.run(run.id).ended(timeout=SECONDS).status == "interrupted"


def test_threads_share_it_and_do_not_wait_for_each_other() -> None:
    with analystd.connect_sync() as desk, ThreadPoolExecutor(8) as pool, desk.start_python(WAIT, session="slow"):
        work = [pool.submit(desk.exec_python, f"{number} * 2", session=f"t{number % 4}") for number in range(12)]
        assert [each.result(SECONDS).result for each in work] == [str(number * 2) for number in range(12)]


def test_a_listener_that_would_wait_for_an_answer_is_told_that_it_cannot() -> None:
    said: list[BaseException] = []
    heard = threading.Event()

    with analystd.connect_sync() as desk:

        def ask(_event: object) -> None:
            try:
                desk.status()
            except RuntimeError as exc:
                said.append(exc)
            heard.set()

        desk.on_event(ask)
        desk.exec_python("1")
        assert heard.wait(SECONDS)
    assert "cannot wait for an answer" in str(said[0])


def test_a_closed_client_says_so_and_can_be_closed_again() -> None:
    desk = analystd.connect_sync()
    desk.close()
    desk.close()
    with pytest.raises(DaemonLostError, match="This client is closed"):
        desk.status()
    assert not [thread for thread in threading.enumerate() if thread.name == "analystd client"]


def test_closing_it_ends_what_another_thread_waits_for() -> None:
    desk = analystd.connect_sync()
    run = desk.start_python(WAIT, session="closed")
    with ThreadPoolExecutor(1) as pool:
        waiting = pool.submit(run.result)
        assert next(run.events(timeout=SECONDS)).kind == "run_queued"
        desk.close()
        with pytest.raises(DaemonLostError, match="closed"):
            waiting.result(SECONDS)
    with analystd.connect_sync() as other:
        other.cancel_run(run.id)


def test_a_client_that_is_forgotten_warns_and_leaves_no_thread() -> None:
    desk = analystd.connect_sync()
    with pytest.warns(ResourceWarning, match="SyncClient connected to .* was never closed") as warned:
        del desk
        gc.collect()
    assert len(warned) == 1
    assert not [thread for thread in threading.enumerate() if thread.name == "analystd client"]


def test_a_client_lives_as_long_as_what_it_gave() -> None:
    run = analystd.connect_sync().start_python("print('held')")
    events = run.events(timeout=SECONDS)
    gc.collect()
    assert run.result(timeout=SECONDS).stdout == "held\n"
    assert [event.kind for event in events][-1] == "run_finished"
    with pytest.warns(ResourceWarning, match="never closed"):
        del run, events
        gc.collect()


@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
def test_after_a_fork_the_child_is_told_to_connect_again_and_the_parent_goes_on() -> None:
    with analystd.connect_sync() as desk:
        read, write = os.pipe()
        child = os.fork()
        if child == 0:
            try:
                desk.status()
            except RuntimeError as exc:
                os.write(write, str(exc).encode())
            desk.close()
            os._exit(0)
        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
        assert b"connected before a fork" in os.read(read, 200)
        os.close(read)
        os.close(write)
        assert desk.exec_python("1 + 1").result == "2"


def test_it_connects_anew_after_the_daemon_died(fresh_station: Station) -> None:
    fresh_station.play([])
    with pytest.MonkeyPatch.context() as patch:
        become_user(fresh_station, patch)
        with analystd.connect_sync() as desk:
            run = desk.start_python(WAIT)
            assert "output" in (event.kind for event in run.events(timeout=SECONDS))
            kill_daemon(fresh_station)
            with pytest.raises(DaemonLostError, match="while this run was under way"):
                run.result(timeout=SECONDS)
            assert desk.exec_python("1 + 1").result == "2"


@pytest.mark.parametrize(
    "wait", ["desk.exec_python(WAIT)", "desk.start_python(WAIT).result()", "list(desk.start_python(WAIT).events())"]
)
def test_ctrl_c_cancels_the_run_that_is_waited_for(station: Station, wait: str) -> None:
    script = run_script(
        station,
        f"""
        import analystd
        WAIT = {WAIT!r}
        desk = analystd.connect_sync()
        desk.on_event(lambda event: event.kind == "output" and print(event.run_id, flush=True))
        {wait}
        """,
    )
    assert script.stdout is not None
    run_id = script.stdout.readline().strip()
    assert run_id, script.communicate()
    errors = interrupted(script)
    assert "KeyboardInterrupt" in errors
    assert "ResourceWarning" not in errors
    with analystd.connect_sync() as desk:
        assert desk.run(run_id).ended(timeout=SECONDS).status == "interrupted"


@pytest.mark.parametrize(
    "go_on", ["desk.start_python(WAIT)", "list(desk.start_python(WAIT).events())", "desk.exec_python(WAIT)"]
)
def test_ctrl_c_as_soon_as_a_run_is_accepted_leaves_none_behind(station: Station, go_on: str) -> None:
    script = run_script(
        station,
        f"""
        import analystd, signal, threading
        WAIT = {WAIT!r}
        desk = analystd.connect_sync()
        main = threading.get_ident()
        def hear(event):
            if event.kind == "run_queued":
                print(event.run_id, flush=True)
                signal.pthread_kill(main, signal.SIGINT)
        desk.on_event(hear)
        {go_on}
        import time
        time.sleep(10)
        """,
    )
    output, errors = script.communicate(timeout=SECONDS)
    assert "KeyboardInterrupt" in errors
    assert "never awaited" not in errors
    with analystd.connect_sync() as desk:
        status = desk.run(output.strip()).ended(timeout=SECONDS).status
        assert status in ("interrupted", "cancelled")


def test_ctrl_c_leaves_the_run_of_another_alone(station: Station) -> None:
    with analystd.connect_sync() as desk, desk.start_python(WAIT, session="another's") as run:
        script = run_script(
            station,
            f"""
            import analystd
            with analystd.connect_sync() as desk:
                for event in desk.run({run.id!r}).events():
                    print(event.kind, flush=True)
            """,
        )
        assert script.stdout is not None
        assert script.stdout.readline() == "run_queued\n"
        interrupted(script)
        assert not run.summary().is_over


def test_a_program_that_ends_without_closing_ends_quietly_and_its_run_goes_on(station: Station) -> None:
    script = run_script(
        station,
        """
        import analystd
        desk = analystd.connect_sync(name="quiet")
        run = desk.start_python("import time\\ntime.sleep(0.5)\\n'made it'", session="quiet")
        events = desk.follow()
        print(run.id)
        """,
    )
    output, errors = script.communicate(timeout=SECONDS)
    assert (script.returncode, errors) == (0, "")
    with analystd.connect_sync() as desk:
        result = desk.run(output.strip()).result(timeout=SECONDS)
        assert result["result"] == "'made it'"


def test_connecting_where_nothing_can_be_leaves_no_thread(tmp_path_factory: pytest.TempPathFactory) -> None:
    with pytest.MonkeyPatch.context() as patch, warnings.catch_warnings():
        warnings.simplefilter("error")
        patch.setenv("XDG_STATE_HOME", str(tmp_path_factory.mktemp("none")))
        with pytest.raises(DaemonLostError, match="No analystd daemon is running"):
            analystd.connect_sync(start=False)
    assert not [thread for thread in threading.enumerate() if thread.name == "analystd client"]


def test_a_daemon_that_hangs_is_waited_for_as_long_as_was_said(
    fresh_station: Station, monkeypatch: pytest.MonkeyPatch
) -> None:
    become_user(fresh_station, monkeypatch)
    fresh_station.run("exec", "1")
    pid = fresh_station.daemon_pid()
    assert pid is not None
    os.kill(pid, signal.SIGSTOP)
    script = "import analystd\ntry:\n    analystd.connect_sync(timeout=0.5)\nexcept analystd.client.RequestTimeoutError as exc:\n    print(exc)"
    try:
        process = run_script(fresh_station, script)
        # A hello that is not answered is given up after 15 s.
        output, complaint = process.communicate(timeout=10)
    finally:
        os.kill(pid, signal.SIGCONT)
    assert (complaint, process.returncode) == ("", 0)
    assert "within 0.5 s" in output
