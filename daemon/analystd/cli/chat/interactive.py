"""Run a chat at a terminal."""

from __future__ import annotations

import asyncio
import contextlib
import signal
from collections.abc import Coroutine
from pathlib import Path
from typing import Any

from analystd.cli.asking import agent_options
from analystd.cli.chat.commands import KEYS, carry_out, is_command
from analystd.cli.chat.dialogue import Dialogue, model_name
from analystd.cli.chat.history import HistoryFile
from analystd.cli.chat.line_input import LineInput
from analystd.cli.chat.terminal import ChatTerminal
from analystd.cli.desk import open_desk
from analystd.cli.exit_status import EXIT_DONE
from analystd.cli.output import flush_output
from analystd.cli.parser import Options
from analystd.cli.render import NOTICE_KINDS
from analystd.client import Client, Event
from analystd.config.folders import state_folder
from analystd.desk.desk_lock import desk_folder
from analystd.wire.errors import AnalystdError
from analystd.wire.names import EventKind

_TICK_SECONDS = 1.0

_LOST = "The connection to the daemon was lost. The next question connects again, and starts the daemon if needed."


async def talk(options: Options) -> int:
    """Read questions and answer them until the user leaves."""
    async with open_desk(options, name="chat", events="mine") as desk:
        await Chat(desk, options).run()
    return EXIT_DONE


class Chat:
    """Reads questions and commands one at a time and carries them out; Ctrl-C stops the current one, not the chat."""

    def __init__(self, desk: Client, options: Options) -> None:
        folder = desk_folder(state_folder() / "desks", Path(desk.about.workspace))
        self._desk = desk
        self._dialogue = Dialogue(desk, agent_options(options), options.conversation)
        self._terminal = ChatTerminal(folder / "plots")
        self._line = LineInput(HistoryFile(folder / "chat_history.jsonl"), self._file_names)
        self._work: asyncio.Task[None] | None = None

    async def run(self) -> None:
        """Talk until the user leaves."""
        loop = asyncio.get_running_loop()
        loop.add_signal_handler(signal.SIGINT, self._interrupt)
        self._desk.on_lost(self._note_loss)
        self._desk.on_event(self._print_event)
        try:
            await self._dialogue.begin()
            self._greet()
            await self._read_all()
        finally:
            loop.remove_signal_handler(signal.SIGINT)
        if self._dialogue.conversation is not None:
            self._terminal.line(
                f"`analystd chat --conversation {self._dialogue.conversation}` continues this conversation.", style="2"
            )

    def _greet(self) -> None:
        model = model_name(self._desk) or "no model"
        self._terminal.line(f"{self._desk.about.workspace}, {model}", style="2")
        for line in (*KEYS, "/help lists the commands."):
            self._terminal.line(line, style="2")

    async def _read_all(self) -> None:
        is_leaving = False
        with contextlib.suppress(EOFError):
            while True:
                flush_output()
                try:
                    text = await self._line.read()
                except KeyboardInterrupt:
                    if is_leaving and not self._line.text:
                        return
                    is_leaving = not self._line.text
                    if is_leaving:
                        self._terminal.line("Ctrl-C again leaves, as Ctrl-D does.", style="2")
                    continue
                is_leaving = False
                if text.strip():
                    await self._wait_for(self._carry_out(text))

    async def _wait_for(self, work: Coroutine[Any, Any, None]) -> None:
        """Wait for the end of work that Ctrl-C may stop."""
        self._work = asyncio.create_task(work)
        try:
            await asyncio.wait([self._work])
        finally:
            done, self._work = self._work, None
        self._terminal.clear()
        if done.cancelled():
            self._terminal.line("Stopped.", style="33")
        else:
            done.result()

    async def _carry_out(self, text: str) -> None:
        self._terminal.begin()
        try:
            await self._print_changes()
            if is_command(text):
                await carry_out(text, self._dialogue)
            else:
                await self._ask(text)
                await self._print_changes()
        except AnalystdError as exc:
            self._terminal.problem(exc.message)
            if exc.hint:
                self._terminal.line(f"  {exc.hint}")

    async def _ask(self, prompt: str) -> None:
        ticking = asyncio.create_task(self._tick())
        try:
            result = await self._dialogue.ask(prompt, self._terminal)
        finally:
            ticking.cancel()
            self._terminal.clear()
        self._terminal.answer(result)

    async def _tick(self) -> None:
        while True:
            await asyncio.sleep(_TICK_SECONDS)
            self._terminal.tick()

    async def _print_changes(self) -> None:
        for change in await self._dialogue.changes():
            self._terminal.line(change, style="33")

    def _interrupt(self) -> None:
        if self._work is not None:
            self._work.cancel()

    def _note_loss(self) -> None:
        if not self._dialogue.is_lost:
            self._dialogue.is_lost = True
            if self._work is None:
                self._line.print_above(lambda: self._terminal.line(_LOST, style="33"))

    def _print_event(self, event: Event) -> None:
        """Print what happens to the session outside of runs, such as a reset by another client."""
        if event.run_id is not None:
            return
        if event.kind == EventKind.SESSION_RESET:
            by = f" by {event.client}" if event.client else ""
            text = f"The session '{event.session}' was reset{by}: its variables are lost."
        elif event.kind in NOTICE_KINDS:
            text = event.text
        else:
            return
        self._line.print_above(lambda: self._terminal.line(text, style="33"))

    async def _file_names(self) -> list[str]:
        """Return the names of the files in the workspace, for completion; none when they cannot be listed."""
        with contextlib.suppress(AnalystdError):
            return [entry.name for entry in (await self._desk.list_files()).entries if entry.type == "file"]
        return []
