"""The commands of a chat: lines that begin with a slash."""

from __future__ import annotations

import re
import shlex
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from analystd.cli.chat.dialogue import Dialogue, model_name
from analystd.cli.history import print_runs
from analystd.cli.parser import parse_arguments
from analystd.cli.render import engine_lines, table
from analystd.cli.work import view_at
from analystd.util.inert_text import one_line
from analystd.wire.errors import InvalidArgumentsError

_COMMAND = re.compile(r"/([a-z][a-z-]*)(?:\s+(.*))?", re.DOTALL)

_RUNS = 20
_VARIABLE_HEAD = ["NAME", "TYPE", "SHAPE", "VALUE"]

KEYS = (
    "Alt-Enter, or a backslash at the end of a line, starts another line. Ctrl-C stops the current run, Ctrl-D leaves."
)


@dataclass(frozen=True)
class ChatCommand:
    """A command: its usage, its summary for /help, and the function that carries it out."""

    usage: str
    summary: str
    run: Callable[[Dialogue, str], Awaitable[None]]


def is_command(text: str) -> bool:
    """Return whether a line is a command; a path such as `/data/a.csv` begins a question."""
    return _COMMAND.fullmatch(text.strip()) is not None


async def carry_out(text: str, dialogue: Dialogue) -> None:
    """Carry out a command.

    Raises:
        EOFError: when the chat should end, as on Ctrl-D.
        InvalidArgumentsError: when there is no such command, or its arguments are invalid.
        AnalystdError: when the daemon answers with an error.
    """
    found = _COMMAND.fullmatch(text.strip())
    assert found is not None
    command = COMMANDS.get(found[1])
    if command is None:
        raise InvalidArgumentsError(f"There is no command /{found[1]}", "/help lists them.")
    rest = (found[2] or "").strip()
    if rest and " " not in command.usage:
        raise InvalidArgumentsError(f"/{found[1]} takes no arguments")
    await command.run(dialogue, rest)


async def _new(dialogue: Dialogue, _rest: str) -> None:
    dialogue.begin_anew()
    print("The next question begins a new conversation; files and variables are still there.")


async def _runs(dialogue: Dialogue, _rest: str) -> None:
    print_runs(await dialogue.desk.list_runs(_RUNS))


async def _vars(dialogue: Dialogue, _rest: str) -> None:
    state = await dialogue.desk.variables(dialogue.options.get("session") or "main")
    rows = [[each.name, each.type, each.shape or "", each.preview] for each in state.variables]
    print(table(rows, _VARIABLE_HEAD) if rows else f"The session '{state.name}' holds no variables.")


async def _view(dialogue: Dialogue, rest: str) -> None:
    try:
        words = shlex.split(rest)
    except ValueError as exc:
        raise InvalidArgumentsError(f"The quotes do not match: {exc}") from exc
    if any(word.partition("=")[0] in ("--workspace", "--json") for word in words):
        raise InvalidArgumentsError(
            "/view does not take --workspace and --json", "`analystd view` does, outside the chat."
        )
    try:
        options = parse_arguments(["view", *words])
    except SystemExit:
        # argparse has printed the problem.
        return
    await view_at(dialogue.desk, options)


async def _model(dialogue: Dialogue, _rest: str) -> None:
    engine = (await dialogue.desk.status()).engine
    print(f"model: {model_name(dialogue.desk) or 'none'}")
    for line in () if engine is None else engine_lines(engine):
        print(line)
    if engine is not None and engine["note"]:
        print(engine["note"])
    print("To change it for all windows: `analystd model use NAME`, then `analystd stop`.")


async def _undo_last(dialogue: Dialogue, _rest: str) -> None:
    question = dialogue.forget_last()
    if question is None:
        print("No question of this chat is in the conversation, so there is nothing to remove.")
    else:
        print(f"Removed from the conversation: {one_line(question)}")
        print("Changes to variables and files stay.")


async def _help(_dialogue: Dialogue, _rest: str) -> None:
    rows = [[command.usage, command.summary] for command in COMMANDS.values()]
    width = max(len(usage) for usage, _ in rows)
    print("\n".join(f"{usage.ljust(width)}  {summary}" for usage, summary in rows))
    print("\n".join(("Any other line is a question to the model.", *KEYS)))


async def _quit(_dialogue: Dialogue, _rest: str) -> None:
    raise EOFError


COMMANDS = {
    "new": ChatCommand("/new", "begin a new conversation", _new),
    "runs": ChatCommand("/runs", "list the latest runs of the workspace", _runs),
    "vars": ChatCommand("/vars", "list the variables of the session", _vars),
    "view": ChatCommand("/view FILE [OPERATION …]", "look at a table, as `analystd view` does", _view),
    "model": ChatCommand("/model", "show which model answers, and how fast", _model),
    "undo-last": ChatCommand("/undo-last", "remove the last exchange from the conversation", _undo_last),
    "help": ChatCommand("/help", "list the commands", _help),
    "quit": ChatCommand("/quit", "leave; variables and files are kept", _quit),
}
