"""The conversation of a chat, which continues when the daemon restarts."""

from __future__ import annotations

from dataclasses import dataclass, field

from analystd.cli.asking import ask_model
from analystd.cli.render import Terminal
from analystd.client import AgentResult, Client, Event
from analystd.client.options import AgentOptions
from analystd.wire.names import EventKind


@dataclass
class Dialogue:
    """The current conversation of a chat; `options` hold for each question."""

    desk: Client
    options: AgentOptions
    conversation: str | None = None
    is_lost: bool = False
    """Whether the daemon has ended since the last request."""
    _asked: list[tuple[str, str]] = field(default_factory=list)
    """The runs of this chat in the conversation, with their questions."""
    _to_forget: list[str] = field(default_factory=list)
    """The runs to leave out of the conversation from the next question on."""
    _pid: int = 0
    _model: str | None = None
    _notices: set[str] = field(default_factory=set)

    async def begin(self) -> None:
        """Remember which daemon answers, with which model."""
        self._pid = (await self.desk.status()).pid
        self._model = model_name(self.desk)
        self._notices = set(self.desk.about.notices)

    async def ask(self, prompt: str, terminal: Terminal) -> AgentResult:
        """Ask a question that continues the conversation, or begins one.

        Raises:
            AnalystdError: when the run did not start, or its daemon ended.
        """
        stop = self.desk.on_event(self._note_run)
        given: AgentOptions = {**self.options, "conversation": self.conversation}
        if self._to_forget:
            given["forget_runs"] = self._to_forget
        try:
            return await ask_model(self.desk, prompt, terminal, **given)
        finally:
            stop()

    def begin_anew(self) -> None:
        """Begin a new conversation with the next question."""
        self.conversation = None
        self._asked.clear()
        self._to_forget.clear()

    def forget_last(self) -> str | None:
        """Leave the last exchange out of the conversation, and return its question; None when there is none."""
        if not self._asked:
            return None
        run_id, question = self._asked.pop()
        self._to_forget.append(run_id)
        return question

    async def changes(self) -> list[str]:
        """Connect again if the daemon has ended, and return messages on what has changed.

        Raises:
            AnalystdError: when no daemon can be reached.
        """
        if not self.is_lost:
            return []
        messages: list[str] = []
        pid = (await self.desk.status()).pid
        self.is_lost = False
        if pid != self._pid:
            messages.append(
                "Another daemon answers now: the variables of sessions are lost; files and the conversation are kept."
            )
        if (model := model_name(self.desk)) != self._model:
            messages.append(f"The model is now {model or 'none'}; it was {self._model or 'none'}.")
        messages += [notice for notice in self.desk.about.notices if notice not in self._notices]
        self._pid, self._model = pid, model
        self._notices.update(self.desk.about.notices)
        return messages

    def note_loss(self) -> None:
        """Remember that the daemon has ended."""
        self.is_lost = True

    def _note_run(self, event: Event) -> None:
        if event.kind == EventKind.RUN_QUEUED and event.client_id == self.desk.id:
            self.conversation = event.conversation
            self._asked.append((event.run_id or "", event.title))
            self._to_forget = []


def model_name(desk: Client) -> str | None:
    """Return the name of the daemon's model when this client connected."""
    return None if desk.about.engine is None else desk.about.engine.model
