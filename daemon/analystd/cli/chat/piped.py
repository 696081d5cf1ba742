"""Run a chat without a terminal: each line of stdin is a question or a command, answers are plain text on stdout."""

from __future__ import annotations

from analystd.cli.asking import agent_options, exit_status, print_summary
from analystd.cli.chat.commands import carry_out, is_command
from analystd.cli.chat.dialogue import Dialogue
from analystd.cli.desk import open_desk, print_notices
from analystd.cli.exit_status import EXIT_DONE, exit_status_of
from analystd.cli.output import flush_output, print_error
from analystd.cli.parser import Options
from analystd.cli.render import Terminal
from analystd.cli.stdin import LineReader
from analystd.wire.errors import AnalystdError


async def answer_lines(options: Options) -> int:
    """Answer each line; the exit status is that of the first that failed."""
    lines = LineReader()
    async with open_desk(options, name="chat", events="mine") as desk:
        dialogue = Dialogue(desk, agent_options(options), options.conversation)
        await dialogue.begin()
        desk.on_lost(dialogue.note_loss)
        first_failure = EXIT_DONE
        while (text := await lines.next_line()) is not None:
            while text.endswith("\\") and (more := await lines.next_line()) is not None:
                text = f"{text[:-1]}\n{more}"
            if not text.strip():
                continue
            try:
                print_notices(await dialogue.changes())
                status = await _answer(text, dialogue)
            except EOFError:
                break
            except AnalystdError as exc:
                print_error(exc, as_json=False)
                status = exit_status_of(exc)
            # The writer of the lines may wait for each answer.
            flush_output()
            first_failure = first_failure or status
    return first_failure


async def _answer(text: str, dialogue: Dialogue) -> int:
    if is_command(text):
        await carry_out(text, dialogue)
        return EXIT_DONE
    terminal = Terminal()
    result = await dialogue.ask(text, terminal)
    print(result.answer)
    print_summary(result, terminal)
    return exit_status(result)
