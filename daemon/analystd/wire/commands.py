"""Every command of `workspace/executeCommand`, declared once: its name, arguments, result, and the setting that it requires."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Generic, Literal, NamedTuple, TypeVar

from analystd.wire import arguments, events, results, status
from analystd.wire.names import Command

A = TypeVar("A")
R = TypeVar("R")


class Switch(NamedTuple):
    """A setting that enables commands: its name in `Settings`, and the environment variable that sets it."""

    field: Literal["enable_files", "enable_data_view", "enable_pyexe"]
    variable: str


FILES = Switch("enable_files", "AGENT_ENABLE_FILES")
DATA_VIEW = Switch("enable_data_view", "AGENT_ENABLE_DATA_VIEW")
PYEXE = Switch("enable_pyexe", "AGENT_ENABLE_PYEXE")


@dataclass(frozen=True)
class CommandType(Generic[A, R]):
    """A command: `arguments` is a dataclass of `wire.arguments`, `result` a `TypedDict`, `needs` the setting that must be switched on."""

    name: Command
    arguments: type[A]
    result: type[R]
    needs: Switch | None = None


RUN_AGENT = CommandType(Command.RUN_AGENT, arguments.RunAgent, results.AgentResult)
START_AGENT = CommandType(Command.START_AGENT, arguments.RunAgent, events.RunSummary)
EXEC_PYTHON = CommandType(Command.EXEC_PYTHON, arguments.ExecPython, results.PythonResult, PYEXE)
START_PYTHON = CommandType(Command.START_PYTHON, arguments.ExecPython, events.RunSummary, PYEXE)
VIEW_DATA = CommandType(Command.VIEW_DATA, arguments.ViewData, results.ViewResult, DATA_VIEW)
LIST_FILES = CommandType(Command.LIST_FILES, arguments.ListFiles, results.FileListing, FILES)
READ_FILE = CommandType(Command.READ_FILE, arguments.ReadFile, results.FileText, FILES)
WRITE_FILE = CommandType(Command.WRITE_FILE, arguments.WriteFile, results.WriteResult, FILES)
RESET_SESSION = CommandType(Command.RESET_SESSION, arguments.OneSession, results.SessionState, PYEXE)
INTERRUPT = CommandType(Command.INTERRUPT, arguments.OneSession, results.SessionState, PYEXE)
VARIABLES = CommandType(Command.VARIABLES, arguments.OneSession, results.SessionVariables, PYEXE)
CANCEL_RUN = CommandType(Command.CANCEL_RUN, arguments.OneRun, results.CancelResult)
LIST_RUNS = CommandType(Command.LIST_RUNS, arguments.ListRuns, events.RunList)
GET_RUN = CommandType(Command.GET_RUN, arguments.GetRun, events.RunStory)
EVENTS = CommandType(Command.EVENTS, arguments.Events, events.EventPage)
SUBSCRIBE = CommandType(Command.SUBSCRIBE, arguments.Subscribe, events.SubscribeResult)
LIST_QUARANTINE = CommandType(Command.LIST_QUARANTINE, arguments.NoArguments, results.QuarantineList)
RESTORE_QUARANTINE = CommandType(Command.RESTORE_QUARANTINE, arguments.RestoreQuarantine, results.RestoreResult)
DISCARD_QUARANTINE = CommandType(Command.DISCARD_QUARANTINE, arguments.DiscardQuarantine, results.RestoreResult)
STATUS = CommandType(Command.STATUS, arguments.NoArguments, status.DaemonStatus)
SHUTDOWN = CommandType(Command.SHUTDOWN, arguments.Shutdown, status.ShutdownResult)

COMMANDS: tuple[CommandType[Any, Any], ...] = tuple(each for each in vars().values() if isinstance(each, CommandType))
