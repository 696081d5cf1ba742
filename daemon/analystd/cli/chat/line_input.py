"""The line in which questions are typed: editing, several lines, history, completion."""

from __future__ import annotations

import shlex
import sys
from collections.abc import AsyncGenerator, Awaitable, Callable, Iterable

from prompt_toolkit import PromptSession
from prompt_toolkit.application import run_in_terminal
from prompt_toolkit.completion import CompleteEvent, Completer, Completion
from prompt_toolkit.document import Document
from prompt_toolkit.enums import DEFAULT_BUFFER
from prompt_toolkit.filters import has_focus
from prompt_toolkit.history import History
from prompt_toolkit.input import create_input
from prompt_toolkit.key_binding import KeyBindings, KeyPressEvent
from prompt_toolkit.keys import Keys
from prompt_toolkit.layout.processors import Processor, Transformation, TransformationInput
from prompt_toolkit.output import create_output

from analystd.cli.chat.commands import COMMANDS
from analystd.cli.chat.history import HistoryFile
from analystd.util.inert_text import masked, visible

PROMPT = "> "
_CONTINUATION = "… "
_MENU_LINES = 4

FileNames = Callable[[], Awaitable[Iterable[str]]]


class LineInput:
    """Reads questions from the terminal, one at a time; while one is typed, others may print above it."""

    def __init__(self, history: HistoryFile, file_names: FileNames) -> None:
        self._session: PromptSession[str] = PromptSession(
            PROMPT,
            multiline=True,
            prompt_continuation=_CONTINUATION,
            history=_StoredHistory(history),
            enable_history_search=True,
            enable_suspend=True,
            completer=_Completer(file_names),
            complete_while_typing=False,
            reserve_space_for_menu=_MENU_LINES,
            key_bindings=_key_bindings(),
            input_processors=[_Masking()],
            input=create_input(sys.__stdin__),
            # Ours makes all escape sequences visible; what is printed here is made inert before.
            output=create_output(sys.__stdout__),
        )

    async def read(self) -> str:
        """Return what was typed.

        Raises:
            EOFError: on Ctrl-D.
            KeyboardInterrupt: on Ctrl-C.
        """
        return await self._session.prompt_async(handle_sigint=False)

    @property
    def text(self) -> str:
        """What is, or at last was, in the line."""
        return self._session.default_buffer.text

    def say(self, tell: Callable[[], None]) -> None:
        """Have something printed above the line, if it is on the screen now."""
        if self._session.app.is_running:
            run_in_terminal(tell)
        else:
            tell()


class _StoredHistory(History):
    def __init__(self, file: HistoryFile) -> None:
        super().__init__()
        self._file = file

    def load_history_strings(self) -> Iterable[str]:
        """Yield what was asked, the latest first."""
        return (visible(question) for question in reversed(self._file.load()))

    def store_string(self, string: str) -> None:
        """Keep what was asked."""
        self._file.add(string)


class _Masking(Processor):
    """Shows a sign in place of each character that would be obeyed or not be seen."""

    def apply_transformation(self, transformation_input: TransformationInput) -> Transformation:
        """Return a line as it is shown."""
        return Transformation([(part[0], masked(part[1])) for part in transformation_input.fragments])


class _Completer(Completer):
    """Completes commands, and the names of files after `/view`."""

    def __init__(self, file_names: FileNames) -> None:
        self._file_names = file_names

    def get_completions(self, document: Document, complete_event: CompleteEvent) -> Iterable[Completion]:
        """Yield the commands that begin as the line does."""
        text = document.text_before_cursor
        if " " not in text and text.startswith("/"):
            for name in COMMANDS:
                if f"/{name}".startswith(text):
                    yield Completion(f"/{name}", start_position=-len(text))

    async def get_completions_async(
        self, document: Document, complete_event: CompleteEvent
    ) -> AsyncGenerator[Completion, None]:
        """Yield the commands, or the files, that begin as the line does."""
        command, _, typed = document.text_before_cursor.partition(" ")
        if command != "/view" or " " in typed:
            for completion in self.get_completions(document, complete_event):
                yield completion
            return
        for name in await self._file_names():
            quoted = shlex.quote(name)
            # A name that a terminal would not show as it is, is left to be typed.
            if visible(name) == name and (name.startswith(typed) or quoted.startswith(typed)):
                yield Completion(quoted, start_position=-len(typed), display=name)


def _key_bindings() -> KeyBindings:
    bindings = KeyBindings()
    in_line = has_focus(DEFAULT_BUFFER)

    @bindings.add(Keys.Enter, filter=in_line)
    def accept(event: KeyPressEvent) -> None:
        """Ask, unless the text ends in a backslash: then go on in the next line."""
        buffer = event.current_buffer
        if buffer.document.is_cursor_at_the_end and buffer.text.endswith("\\"):
            buffer.delete_before_cursor()
            buffer.insert_text("\n")
        else:
            buffer.validate_and_handle()

    @bindings.add(Keys.Escape, Keys.Enter, filter=in_line)
    def break_line(event: KeyPressEvent) -> None:
        """Go on in the next line."""
        event.current_buffer.insert_text("\n")

    @bindings.add(Keys.BracketedPaste, filter=in_line)
    def paste(event: KeyPressEvent) -> None:
        """Take what is pasted, with what it hides made visible."""
        event.current_buffer.insert_text(visible(event.data.replace("\r\n", "\n").replace("\r", "\n")))

    return bindings
