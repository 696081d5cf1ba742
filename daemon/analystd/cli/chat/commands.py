"""What can be said in a chat beside questions: lines that begin with a slash."""

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
    "Alt-Enter, or a backslash at the end of a line, goes on in the next line. Ctrl-C stops what runs, Ctrl-D leaves."
)


@dataclass(frozen=True)
class ChatCommand:
    """A command: how it is written, what it does in a line for people, and what carries it out."""

    usage: str
    summary: str
    run: Callable[[Dialogue, str], Awaitable[None]]


def is_command(text: str) -> bool:
    """Return whether a line is a command; a path such as `/data/a.csv` begins a question."""
    return _COMMAND.fullmatch(text.strip()) is not None


async def carry_out(text: str, dialogue: Dialogue) -> None:
    """Carry out a command.

    Raises:
        EOFError: when the chat is to end, as by Ctrl-D.
        InvalidArgumentsError: when there is no such command, or it is written otherwise.
        AnalystdError: as the daemon answered.
    """
    found = _COMMAND.fullmatch(text.strip())
    assert found is not None
    command = COMMANDS.get(found[1])
    if command is None:
        raise InvalidArgumentsError(f"There is no command /{found[1]}", "/help lists them.")
    rest = (found[2] or "").strip()
    if rest and " " not in command.usage:
        raise InvalidArgumentsError(f"/{found[1]} stands alone on its line")
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
        raise InvalidArgumentsError(f"The quotes do not fit: {exc}") from exc
    if any(word.partition("=")[0] in ("--workspace", "--json") for word in words):
        raise InvalidArgumentsError(
            "A chat has one workspace, and /view prints text", "`analystd view` has these options."
        )
    try:
        options = parse_arguments(["view", *words])
    except SystemExit:
        # What is wrong with the words is printed already.
        return
    await view_at(dialogue.desk, options)


async def _model(dialogue: Dialogue, _rest: str) -> None:
    engine = (await dialogue.desk.status()).engine
    print(f"model: {model_name(dialogue.desk) or 'none'}")
    for line in () if engine is None else engine_lines(engine):
        print(line)
    if engine is not None and engine["note"]:
        print(engine["note"])
    print("`analystd model use NAME`, then `analystd stop`, changes it for every window.")


async def _undo_last(dialogue: Dialogue, _rest: str) -> None:
    question = dialogue.forget_last()
    if question is None:
        print("Nothing was asked in this chat and conversation that could be taken out.")
    else:
        print(f"The model will not be told again: {one_line(question)}")
        print("What was done to variables and files stays.")


async def _help(_dialogue: Dialogue, _rest: str) -> None:
    rows = [[command.usage, command.summary] for command in COMMANDS.values()]
    width = max(len(usage) for usage, _ in rows)
    print("\n".join(f"{usage.ljust(width)}  {summary}" for usage, summary in rows))
    print("\n".join(("All else is a question to the model.", *KEYS)))


async def _quit(_dialogue: Dialogue, _rest: str) -> None:
    raise EOFError


COMMANDS = {
    "new": ChatCommand("/new", "begin a new conversation", _new),
    "runs": ChatCommand("/runs", "list the latest runs of the workspace", _runs),
    "vars": ChatCommand("/vars", "list the variables of the session", _vars),
    "view": ChatCommand("/view FILE [OPERATION …]", "look at a table, as `analystd view` does", _view),
    "model": ChatCommand("/model", "tell which model answers, and how fast", _model),
    "undo-last": ChatCommand("/undo-last", "take the last exchange out of the conversation", _undo_last),
    "help": ChatCommand("/help", "list the commands", _help),
    "quit": ChatCommand("/quit", "leave; what the daemon has is kept", _quit),
}
