"""Every command of `workspace/executeCommand`, each declared once: its name, arguments, result, and the setting that it needs."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Generic, Literal, NamedTuple, TypeVar

from analystd.wire import arguments, protocol, protocol_answers
from analystd.wire.protocol import Command

A = TypeVar("A")
R = TypeVar("R")


class Switch(NamedTuple):
    """A setting that switches commands off: its name in `Settings`, and the variable that sets it."""

    field: Literal["enable_files", "enable_data_view", "enable_pyexe"]
    variable: str


FILES = Switch("enable_files", "AGENT_ENABLE_FILES")
DATA_VIEW = Switch("enable_data_view", "AGENT_ENABLE_DATA_VIEW")
PYEXE = Switch("enable_pyexe", "AGENT_ENABLE_PYEXE")


@dataclass(frozen=True)
class CommandType(Generic[A, R]):
    """A command: `arguments` is a dataclass of `wire.arguments`, `result` a `TypedDict`, `needs` what has to be switched on."""

    name: Command
    arguments: type[A]
    result: type[R]
    needs: Switch | None = None


RUN_AGENT = CommandType(Command.RUN_AGENT, arguments.RunAgent, protocol.AgentResult)
START_AGENT = CommandType(Command.START_AGENT, arguments.RunAgent, protocol.RunSummary)
EXEC_PYTHON = CommandType(Command.EXEC_PYTHON, arguments.ExecPython, protocol.PythonResult, PYEXE)
START_PYTHON = CommandType(Command.START_PYTHON, arguments.ExecPython, protocol.RunSummary, PYEXE)
VIEW_DATA = CommandType(Command.VIEW_DATA, arguments.ViewData, protocol.ViewResult, DATA_VIEW)
LIST_FILES = CommandType(Command.LIST_FILES, arguments.ListFiles, protocol_answers.FileListing, FILES)
READ_FILE = CommandType(Command.READ_FILE, arguments.ReadFile, protocol_answers.FileText, FILES)
WRITE_FILE = CommandType(Command.WRITE_FILE, arguments.WriteFile, protocol.WriteResult, FILES)
RESET_SESSION = CommandType(Command.RESET_SESSION, arguments.OneSession, protocol.SessionState, PYEXE)
INTERRUPT = CommandType(Command.INTERRUPT, arguments.OneSession, protocol.SessionState, PYEXE)
VARIABLES = CommandType(Command.VARIABLES, arguments.OneSession, protocol_answers.SessionVariables, PYEXE)
CANCEL_RUN = CommandType(Command.CANCEL_RUN, arguments.OneRun, protocol_answers.CancelResult)
LIST_RUNS = CommandType(Command.LIST_RUNS, arguments.ListRuns, protocol_answers.RunList)
GET_RUN = CommandType(Command.GET_RUN, arguments.GetRun, protocol_answers.RunStory)
EVENTS = CommandType(Command.EVENTS, arguments.Events, protocol.EventPage)
SUBSCRIBE = CommandType(Command.SUBSCRIBE, arguments.Subscribe, protocol_answers.SubscribeResult)
LIST_QUARANTINE = CommandType(Command.LIST_QUARANTINE, arguments.NoArguments, protocol_answers.QuarantineList)
RESTORE_QUARANTINE = CommandType(
    Command.RESTORE_QUARANTINE, arguments.RestoreQuarantine, protocol_answers.RestoreResult
)
DISCARD_QUARANTINE = CommandType(
    Command.DISCARD_QUARANTINE, arguments.DiscardQuarantine, protocol_answers.RestoreResult
)
STATUS = CommandType(Command.STATUS, arguments.NoArguments, protocol_answers.DaemonStatus)
SHUTDOWN = CommandType(Command.SHUTDOWN, arguments.Shutdown, protocol_answers.ShutdownResult)

COMMANDS: tuple[CommandType[Any, Any], ...] = tuple(each for each in vars().values() if isinstance(each, CommandType))
