"""What is asked in a chat: questions that continue one conversation, over daemons that come and go."""

from __future__ import annotations

from dataclasses import dataclass, field

from analystd.cli.asking import put_question
from analystd.cli.render import Terminal
from analystd.client import AgentResult, Client, Event
from analystd.client.options import AgentOptions
from analystd.wire.names import EventKind


@dataclass
class Dialogue:
    """The conversation that a chat is in; `options` are those of each question."""

    desk: Client
    options: AgentOptions
    conversation: str | None = None
    is_lost: bool = False
    """Whether the daemon has ended since it was last asked something."""
    _asked: list[tuple[str, str]] = field(default_factory=list)
    """The runs of this chat in the conversation, with their questions."""
    _to_forget: list[str] = field(default_factory=list)
    """The runs that the next question is to be asked without."""
    _pid: int = 0
    _model: str | None = None
    _notices: set[str] = field(default_factory=set)

    async def begin(self) -> None:
        """Note which daemon answers, with which model."""
        self._pid = (await self.desk.status()).pid
        self._model = model_name(self.desk)
        self._notices = set(self.desk.about.notices)

    async def ask(self, prompt: str, terminal: Terminal) -> AgentResult:
        """Put a question that continues the conversation, and note the conversation that it begins.

        Raises:
            AnalystdError: when the run never started, or died with its daemon.
        """
        stop = self.desk.on_event(self._note_run)
        given: AgentOptions = {**self.options, "conversation": self.conversation}
        if self._to_forget:
            given["forget_runs"] = self._to_forget
        try:
            return await put_question(self.desk, prompt, terminal, **given)
        finally:
            stop()

    def begin_anew(self) -> None:
        """Have the next question begin a conversation."""
        self.conversation = None
        self._asked.clear()
        self._to_forget.clear()

    def forget_last(self) -> str | None:
        """Have the next question asked without the last exchange, and return what was asked in it; None where nothing was."""
        if not self._asked:
            return None
        run_id, question = self._asked.pop()
        self._to_forget.append(run_id)
        return question

    async def changes(self) -> list[str]:
        """Connect again if the daemon has ended, and return what is another than before.

        Raises:
            AnalystdError: when no daemon can be reached.
        """
        if not self.is_lost:
            return []
        told: list[str] = []
        pid = (await self.desk.status()).pid
        self.is_lost = False
        if pid != self._pid:
            told.append(
                "Another daemon answers now: variables of sessions are gone, files and the conversation are not."
            )
        if (model := model_name(self.desk)) != self._model:
            told.append(f"The model is {model or 'not there'} now; it was {self._model or 'not there'}.")
        told += [notice for notice in self.desk.about.notices if notice not in self._notices]
        self._pid, self._model = pid, model
        self._notices.update(self.desk.about.notices)
        return told

    def note_loss(self) -> None:
        """Note that the daemon has ended."""
        self.is_lost = True

    def _note_run(self, event: Event) -> None:
        if event.kind == EventKind.RUN_QUEUED and event.client_id == self.desk.id:
            self.conversation = event.conversation
            self._asked.append((event.run_id or "", event.title))
            self._to_forget = []


def model_name(desk: Client) -> str | None:
    """Return the model that the daemon asks, as it named it when this client connected."""
    return None if desk.about.engine is None else desk.about.engine.model
