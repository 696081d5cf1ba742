"""The desk: everything that the daemon holds for one workspace, and its operations. It outlives the windows that opened it."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TypeVar
from weakref import WeakValueDictionary

from analystd.agent.loop import Agent
from analystd.agent.outcome import Outcome
from analystd.agent.programs import can_program
from analystd.agent.task import Limits
from analystd.config.settings import Settings
from analystd.data.base import DataService, FileInJail, Source
from analystd.data.view_request import ViewRequest
from analystd.desk import conversations
from analystd.desk.admission import Admission
from analystd.desk.agent_events import AgentEvents
from analystd.desk.code_runs import CodeRuns
from analystd.desk.desk_lock import DeskLock
from analystd.desk.event_log import EventLog, Listener
from analystd.desk.fair_queue import FairQueue, QueueRequest
from analystd.desk.journal import Journal
from analystd.desk.presence import Presence
from analystd.desk.project_toolbox import ProjectToolbox
from analystd.desk.quarantined import Quarantined
from analystd.desk.requester import Requester
from analystd.desk.run_results import (
    agent_result,
    python_result,
    session_state,
    title_of,
    with_context,
    with_encoded_displays,
)
from analystd.desk.runs import AnyRun, DeskRun, RunBook, RunRequest
from analystd.desk.schema_hints import SchemaHints
from analystd.desk.table_facts import TableFacts
from analystd.desk.tasks import Briefing, task_for_programs, task_with_examples
from analystd.engine.base import Engine, Sampling
from analystd.jail.sandbox import Level
from analystd.jail.workspace import Workspace
from analystd.kernel.base import NEVER_RAN, Execution, SessionSupply, cut_off
from analystd.tools import files
from analystd.tools.base import Tool, Toolbox, ToolContext
from analystd.tools.data_view import data_view_tool
from analystd.tools.pyexe import pyexe_tool
from analystd.util.run_id import current_run_id
from analystd.wire.arguments import MAIN, ExecPython, RunAgent, WriteFile
from analystd.wire.errors import AnalystdError, OverloadedError, StartTimeoutError
from analystd.wire.events import Snapshot
from analystd.wire.names import EventKind
from analystd.wire.results import AgentResult, PythonResult, ViewResult, WriteResult

logger = logging.getLogger(__name__)

N = TypeVar("N", int, float)

SNAPSHOT_RUNS = 100

_CUT_SHORT = cut_off(
    "The run was ended while its code ran, and the code was stopped; what it had put out is in the run's events."
)

AGENTS_AT_ONCE = 4
"""Number of agents that share the model. More would evict each other's conversations from its memory, and all would be slower."""


def model_turns() -> FairQueue:
    """Return a queue for the model."""
    return FairQueue("The model", places=AGENTS_AT_ONCE)


@dataclass(frozen=True)
class Equipment:
    """What a desk works with; all desks share the engine, the rest belongs to one desk."""

    engine: Engine
    data: DataService
    supply: SessionSupply
    sandbox_level: Level
    model_turns: FairQueue = field(default_factory=model_turns)
    """Shared by all desks, like the engine."""


class Desk:
    """One workspace: its jail, sessions, runs and journal. It closes the equipment it was given, except the engine."""

    def __init__(
        self,
        workspace: Workspace,
        settings: Settings,
        state: DeskLock,
        equipment: Equipment,
        journal: Journal | None = None,
    ) -> None:
        self.workspace = workspace
        self.settings = settings
        self.data = equipment.data
        self.journal = journal or Journal(state.journal)
        self._chronicle = EventLog(self.journal)
        self.runs = RunBook(self._chronicle)
        self._code = CodeRuns(self._chronicle, workspace, equipment.supply)
        self.sessions = self._code.sessions
        self.presence = Presence(workspace.root)
        self._state = state
        self._engine = equipment.engine
        self._model_turns = equipment.model_turns
        self._sandbox_level = equipment.sandbox_level
        self._conversations: WeakValueDictionary[str, FairQueue] = WeakValueDictionary()
        """The queue of each conversation, in which its runs wait for each other; it exists as long as a run has a place in it."""
        self.quarantined = Quarantined(workspace.trusted_paths, self._chronicle, self.runs)
        self._toolbox = Toolbox(self._tools(), workspace.check_resources)
        self._facts = TableFacts(self.data)
        self.own_toolbox = ProjectToolbox(workspace)
        self.opened_at = time.time()

    def take_up(self, settings: Settings) -> None:
        """Apply other settings from now on, except those that concern the start of workers or the model."""
        self.settings = settings
        self.workspace.take_up(settings)
        self._toolbox = Toolbox(self._tools(), self.workspace.check_resources)

    def listen(self, listener: Listener) -> Callable[[], None]:
        """Call `listener` with every event after it was written; return a function that ends this."""
        return self._chronicle.listen(listener)

    def tells_all_after(self, seq: int) -> bool:
        """Return whether the journal still has every event after a number; False for a number that it has not reached."""
        return self.journal.first_seq <= seq + 1 <= self.journal.seq + 1

    def snapshot(self) -> Snapshot:
        """Return the state of the desk, for clients that have missed too many events."""
        return {
            "seq": self.journal.seq,
            "first_seq": self.journal.first_seq,
            "runs": self.runs.summaries(SNAPSHOT_RUNS),
            "sessions": [session_state(info) for info in self.sessions.infos()],
        }

    @property
    def has_lost_state(self) -> bool:
        """Whether the state folder or the journal was removed or replaced, so that nothing is kept and another daemon may take over the desk."""
        return not (self._state.is_own and self.journal.is_in_place)

    def start_agent(self, question: RunAgent, asker: Requester) -> DeskRun[AgentResult]:
        """Accept a question.

        Raises:
            InvalidArgumentsError: if it continues a conversation that does not exist.
            ResourceLimitError: if its events could not be written; `StoppingError` if the daemon is stopping.
        """
        self._chronicle.require_writable()
        self.runs.require_open()
        self.presence.require()
        prompt = with_context(question.prompt, question.context)
        conversation = question.conversation
        if conversation is not None:
            conversations.require(self.journal, conversation)
        forget = list(question.forget_runs)
        conversations.require_runs(self.journal, conversation, forget)
        conversation = conversation or conversations.new_conversation()
        turnstile = self._conversations.setdefault(conversation, FairQueue(f"The conversation '{conversation}'"))
        request = RunRequest(
            "agent",
            title_of(question.prompt),
            asker,
            question.session,
            {"prompt": prompt, **({"forget_runs": forget} if forget else {})},
            conversation,
            batch=question.priority == "batch",
        )
        limits = Limits(
            _at_most(self.settings.max_steps, question.max_steps),
            _at_most(self.settings.max_seconds, question.max_seconds),
        )
        wait = Admission(request, turnstile, "conversation")
        if wait.first.position == 0:
            try:
                wait.go_on(self._model_turns, "model")
            except OverloadedError:
                wait.first.leave()
                raise

        async def work(run: DeskRun[AgentResult]) -> AgentResult:
            async with wait.first:
                if wait.place is wait.first:
                    wait.go_on(self._model_turns, "model")
                async with wait.place:
                    return agent_result(run, conversation, await self._converse(run, prompt, conversation, limits))

        return wait.begin(self.runs, work, lambda run: agent_result(run, conversation, Outcome("cancelled")))

    def start_python(self, asked: ExecPython, asker: Requester, file: str | None = None) -> DeskRun[PythonResult]:
        """Accept code to run; `file` is the path of the document that contains it, if any.

        Raises:
            ResourceLimitError: if its events could not be written; `StoppingError` if the daemon is stopping.
        """
        self._chronicle.require_writable()
        self.runs.require_open()
        self.presence.require()
        name, code = asked.session, asked.code
        seat = self.sessions.seat(name)
        content = {"code": code, "uri": asked.uri, "line": asked.line}
        request = RunRequest("python", title_of(code), asker, name, content, batch=asked.priority == "batch")
        timeout = _at_most(self.settings.exec_timeout_seconds, asked.timeout_seconds)
        wait = Admission(request, seat.turnstile, "session")
        cut = NEVER_RAN

        async def work(run: DeskRun[PythonResult]) -> PythonResult:
            nonlocal cut
            try:
                async with asyncio.timeout(timeout) as waiting, wait.place:
                    waiting.reschedule(None)
                    self._require_going_on()
                    run.emit(EventKind.RUN_STARTED, sandbox=self._sandbox_level)
                    cut = _CUT_SHORT
                    execution = await self._code.execute(run, seat, code, reset=asked.reset, timeout=timeout, file=file)
            except TimeoutError:
                raise StartTimeoutError(
                    f"The session '{name}' was busy for {timeout:g} s", "Interrupt it, or name another session."
                ) from None
            return await with_encoded_displays(python_result(run, execution))

        return wait.begin(self.runs, work, lambda run: python_result(run, cut))

    def start_write(self, asked: WriteFile, asker: Requester) -> DeskRun[WriteResult]:
        """Accept a file to write.

        Raises:
            ResourceLimitError: if its events could not be written; `StoppingError` if the daemon is stopping.
        """
        self._chronicle.require_writable()
        self.runs.require_open()
        self.presence.require()
        request = RunRequest("write", title_of(asked.path), asker, None, {"path": asked.path})

        async def work(run: DeskRun[WriteResult]) -> WriteResult:
            self._require_going_on()
            await asyncio.to_thread(self.workspace.check_resources)
            run.emit(EventKind.RUN_STARTED, sandbox=self._sandbox_level)
            return {"run_id": run.id, "status": "done", **await self.data.write_file(asked.path, asked.content)}

        return self.runs.begin(request, work, lambda run: {"run_id": run.id, "status": "cancelled", "text": ""})

    async def view(
        self, source: Source, question: ViewRequest, on_progress: Callable[[float], None] | None = None
    ) -> ViewResult:
        """Return a view of a table; see `DataService.view`."""
        if isinstance(source, FileInJail):
            self.presence.require()
        return await self.data.view(source, question, on_progress)

    async def interrupt_session(self, name: str, asker: Requester) -> str | None:
        """Stop the code that runs in a session; return a sentence on what was lost by that, if anything."""
        session = self.sessions.seat(name).session
        for run in self.runs.active:
            if run.interrupt == session.interrupt:
                run.cancelled_by = run.cancelled_by or asker
        return await session.interrupt()

    async def reset_session(self, name: str, asker: Requester) -> None:
        """Delete a session's variables after the code that runs in it now.

        Raises:
            SessionUnavailableError: if no new kernel can be started.
        """
        self.presence.require()
        seat = self.sessions.seat(name)
        async with seat.turnstile.turn():
            await self._code.reset(seat, asker)

    def cancel(self, run_id: str, asker: Requester) -> str:
        """Cancel a run, whichever client asked for it; return `cancelling`, or the status of a run that has ended.

        Raises:
            InvalidArgumentsError: if there is no such run.
        """
        run = self.runs.find_active(run_id)
        if run is None:
            return self.runs.summary(run_id)["status"]
        run.cancel(asker)
        return "cancelling"

    def announce(self, plan: str) -> None:
        """Announce to other daemons that want this desk when they can have it."""
        self._state.announce(plan)

    def announce_loss(self, reason: str) -> None:
        """Record which sessions lose their variables, and why, before they end."""
        for info in self.sessions.infos():
            if info.pid is not None and info.execution_count:
                text = f"{reason}; the variables of the Python session '{info.name}' are lost"
                logger.warning("%s: %s", self.workspace.root, text)
                self._chronicle.record(EventKind.WORKER_DIED, None, None, info.name, worker="kernel", text=text)

    async def aclose(self) -> None:
        """End the runs and the workers and release the lock; an error in one does not stop the others. Harmless when repeated."""
        # A client that asks again as soon as it is answered would otherwise start another run.
        self.runs.close("The daemon gives up this desk")
        try:
            await self.runs.aclose()
            for outcome in await asyncio.gather(self.sessions.aclose(), self.data.aclose(), return_exceptions=True):
                if isinstance(outcome, Exception):
                    logger.error("%s: a worker did not end as it should", self.workspace.root, exc_info=outcome)
        finally:
            try:
                self._chronicle.close()
            finally:
                self._state.release()

    def __repr__(self) -> str:
        return f"<Desk {self.workspace.root} runs={len(self.runs.active)} seq={self.journal.seq}>"

    def _tools(self) -> list[Tool]:
        """Return the enabled tools, the most informative first: a small model chooses what it reads first."""
        tools: list[Tool] = []
        if self.settings.enable_data_view:
            tools.append(data_view_tool(self.data))
        if self.settings.enable_pyexe:
            tools.append(pyexe_tool(self._execute_for_tool))
        if self.settings.enable_files:
            tools += files.file_tools(self.data)
        return tools

    def _require_going_on(self) -> None:
        """Check again what a run requires when it starts, because it may have waited for long."""
        self._chronicle.require_writable()
        self.runs.require_open()
        self.presence.require()

    async def _converse(self, run: AnyRun, prompt: str, conversation: str, limits: Limits) -> Outcome:
        self._require_going_on()
        await self._engine.load()
        programs = can_program(self._engine.info())
        earlier = await conversations.earlier(
            self.journal, conversation, programs=programs, forget=run.request.content.get("forget_runs", ())
        )
        observer = AgentEvents(run)
        instructions = None if self.settings.prompt_file is None else self.settings.prompt_file.text
        agent = Agent(
            self._engine,
            self._toolbox,
            ToolContext(run.request.session or MAIN, run.put_out, run.request.asker.id, run.request.batch),
            observer,
            Sampling(self.settings.temperature, self.settings.seed),
        )
        if programs:
            run.emit(EventKind.RUN_STARTED, sandbox=self._sandbox_level)
            session = self.sessions.seat(run.request.session or MAIN).session
            own = await self.own_toolbox.functions()
            briefing = Briefing(self._engine.info().context_tokens, instructions, own)
            task = await task_for_programs(
                conversation, prompt, limits, earlier.turns, self.data, self._facts, session, observer, briefing
            )
        else:
            listing = await self._file_names()
            run.emit(EventKind.RUN_STARTED, sandbox=self._sandbox_level, files=earlier.files_to_tell(listing))
            names = self._known_names(prompt)
            specs = self._toolbox.specs
            task = task_with_examples(conversation, prompt, limits, earlier, listing, specs, names, instructions)
        return await agent.run(task)

    def _known_names(self, prompt: str) -> SchemaHints | None:
        """Return the names that replies may use; None if they may also use files outside the workspace."""
        return None if self.workspace.read_only_paths else SchemaHints(self.data, prompt)

    async def _file_names(self) -> list[str]:
        """Return the file names of the workspace for the system prompt; none if the files cannot be listed."""
        try:
            listing = await self.data.list_files(".")
        except AnalystdError as exc:
            logger.warning("the workspace cannot be listed: %s", exc.message)
            return []
        return [entry["name"] for entry in listing["entries"]]

    async def _execute_for_tool(self, code: str, reset: bool, context: ToolContext) -> Execution:
        run = self.runs.under_way(current_run_id.get())
        ticket = QueueRequest(context.client, context.batch)
        timeout = self.settings.exec_timeout_seconds
        seat = self.sessions.seat(context.session)
        return await self._code.execute_step(run, seat, code, reset=reset, timeout=timeout, ticket=ticket)


def _at_most(limit: N, asked: N | None) -> N:
    return limit if asked is None else min(asked, limit)
