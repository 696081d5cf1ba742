"""The kernel and its shell, adapted to sessions without a user at a terminal or notebook."""

from __future__ import annotations

import builtins
import os
import subprocess
import sys
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import ipykernel.ipkernel
import ipykernel.zmqshell
import IPython.utils.tokenutil
import jupyter_client.session
from IPython.core.error import StdinNotImplementedError
from IPython.utils.text import LSString, SList

from . import history_pruning, inspection, interrupts, namespace
from .cell_compiler import CellCompiler
from .deadline import TooSlowError, at_most
from .error_hints import SessionAccess
from .output_limits import MAX_DISPLAYS, MAX_DISPLAYS_BYTES, bounded_bundle, bounded_text, bundle_size
from .temporary import TemporaryFiles
from .tracebacks import forget_locals, line_in_cell, without_frames_of, without_middle

VARIABLES_REQUEST = "analystd_variables_request"
LARGEST_REQUEST = "analystd_largest_request"
"""Sent on the control channel, which has its own thread, so that it is answered while code runs."""

# These packages are only partly typed; as Any they are consistently unchecked.
_IPythonKernel: Any = ipykernel.ipkernel.IPythonKernel
_Session: Any = jupyter_client.session.Session
_ZMQInteractiveShell: Any = ipykernel.zmqshell.ZMQInteractiveShell

_GROUPS: Any = getattr(builtins, "BaseExceptionGroup", ())
_DISPLAYS = frozenset({"display_data", "update_display_data", "execute_result"})
_MAX_MESSAGE_CHARACTERS = 4_000
_MAX_TRACEBACK_CHARACTERS = 64_000
_MAX_NAME_CHARACTERS = 400
_OF_MODULES = ("__doc__", "__loader__", "__name__", "__package__", "__spec__")
_MAX_MATCHES = 1_000
_ASIDE_SECONDS = 1.5
"""The maximum time that a completion or inspection may delay the next cell."""
_NO_INPUT = (
    "input() is not available: this session runs code without a terminal. Write the value into the code instead."
)
_NO_DEBUGGER = (
    "The debugger is not available: this session runs code without a terminal. Print what you want to see instead; the "
    "variables of a cell still exist after it."
)
_DEBUGGERS = ("Pdb", "ipdb")
"""The beginnings of their prompts."""


class SessionWire(_Session):  # type: ignore[misc]
    """The kernel's messages, with displays bounded in size and, for each cell, in number."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        # The number of message signatures that are kept to detect repeated messages.
        self.digest_history_size = 1024

    def begin_cell(self) -> None:
        """Reset the counters."""
        self.displays = 0
        self.displays_bytes = 0
        self.displays_cut = 0

    def send(self, stream: Any, msg_or_type: Any, *args: Any, **kwargs: Any) -> Any:
        """Send a message, unless it exceeds the limit of displays, or comes from a forked child: the sockets belong to its parent."""
        if os.getpid() != self.pid:
            return None
        if isinstance(msg_or_type, dict):
            kind = msg_or_type["msg_type"]
            if kind == "clear_output":
                self.displays = self.displays_bytes = 0
            if kind in _DISPLAYS and not self._admit(msg_or_type):
                return None
        return super().send(stream, msg_or_type, *args, **kwargs)

    def _admit(self, message: dict[str, Any]) -> bool:
        content = message["content"]
        content["data"], cut = bounded_bundle(content["data"])
        if message["msg_type"] != "update_display_data":
            self.displays += 1
            self.displays_bytes += bundle_size(content["data"])
        full = self.displays > MAX_DISPLAYS or self.displays_bytes > MAX_DISPLAYS_BYTES
        # The value of the last expression is still sent after a hundred plots.
        if full and message["msg_type"] == "execute_result":
            content["data"] = {"text/plain": content["data"].get("text/plain", "")}
            full = False
        self.displays_cut += cut or full
        return not full


class SessionShell(_ZMQInteractiveShell):  # type: ignore[misc]
    """IPython's shell without colours, pagers, prompts and the removal of leading blank lines."""

    compiler_class = CellCompiler
    cell_name = ""
    """The file name of the running cell."""
    error: BaseException | None = None
    """The exception that the cell raised, in its code or when its result was displayed."""
    shown: tuple[str, ...] = ()
    """Its traceback."""
    walls: SessionAccess | None = None
    """The description of the sandbox, to explain errors; None without a sandbox."""
    temporary_files: TemporaryFiles | None = None
    """Reports files that are deleted with the session; None without private folders."""

    file: str | None = None
    """The path of the last cell's file, if it was given."""

    def set_file(self, file: str | None) -> None:
        """Set `__file__` to the path of a cell's file; for a cell without a file, delete it unless code has set it itself."""
        if file is not None:
            self.user_ns["__file__"] = file
        elif self.file is not None and self.user_ns.get("__file__") == self.file:
            del self.user_ns["__file__"]
        self.file = file

    def reset(self, new_session: bool = True, aggressive: bool = False) -> None:
        """Delete all variables (`%reset`), except for the module attributes of the namespace, which spawned child processes need."""
        kept = {name: self.user_ns[name] for name in _OF_MODULES if name in self.user_ns}
        super().reset(new_session=new_session, aggressive=aggressive)
        self.user_ns.update(kept)

    def init_environment(self) -> None:
        """Make programs that the session starts print plain text."""
        os.environ.update(TERM="dumb", NO_COLOR="1", PAGER="cat", GIT_PAGER="cat")

    def payloadpage_page(self, strg: Any, start: int = 0, screen_lines: int = 0, pager_cmd: Any = None) -> None:
        """Print text meant for a pager (`df?`)."""
        print(strg.get("text/plain", "") if isinstance(strg, dict) else strg)  # noqa: T201

    def ask_yes_no(self, prompt: str, default: str | None = None, interrupt: str | None = None) -> bool:
        """Answer yes: `%reset` in code is intended."""
        return True

    def transform_cell(self, raw_cell: str) -> str:
        """Transform a cell as IPython does, but restore leading blank lines, so that line numbers stay correct."""
        lines = raw_cell.splitlines()
        blank = next((number for number, line in enumerate(lines) if line.strip()), 0)
        transformed: str = super().transform_cell(raw_cell)
        return "\n" * blank + transformed

    def system(self, cmd: str) -> None:
        """Run a shell command (`!cmd`) without a terminal. Its output belongs to the cell, and an interrupt ends the cell too."""
        command = self.var_expand(cmd, depth=1)
        status = self.user_ns["_exit_code"] = subprocess.call(command, shell=True)
        if self.walls is not None and (sentence := self.walls.explain_command(command, status)):
            print(sentence, file=sys.stderr)  # noqa: T201

    def getoutput(self, cmd: str, split: bool = True, depth: int = 0) -> Any:
        """Return the output of a shell command (`x = !cmd`), through a pipe: IPython would open a terminal, which not every sandbox has."""
        command = self.var_expand(cmd, depth=depth + 1)
        done = subprocess.run(command, shell=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False)
        text = done.stdout.decode("utf-8", "replace")
        return SList(text.splitlines()) if split else LSString(text)

    @contextmanager
    def _tee(self, channel: str) -> Iterator[None]:
        """Do not record output: IPython keeps everything that a cell prints, for `%notebook`, and a loop that prints would fill the memory."""
        yield

    def showtraceback(self, exc_tuple: Any = None, *args: Any, **kwargs: Any) -> None:
        """Keep the traceback for the reply; IPython would print that of an exception group instead."""
        error: Any = (exc_tuple or sys.exc_info())[1]
        if isinstance(error, _GROUPS):
            self._showtraceback(type(error), error, traceback.format_exception(error))
        else:
            super().showtraceback(exc_tuple, *args, **kwargs)

    def show_error(self) -> None:
        """Print an error that ended not the cell but nested code, such as a file run with `%run`."""
        if self.error is not None:
            print("\n".join(self.shown), file=sys.stderr)  # noqa: T201

    def _get_exc_info(self, exc_tuple: Any = None) -> Any:
        kind, error, trace = super()._get_exc_info(exc_tuple)
        if isinstance(error, KeyboardInterrupt):
            trace = without_frames_of(interrupts.__file__, trace)
        return kind, error, without_middle(trace)

    def _showtraceback(self, etype: type[BaseException], evalue: BaseException, stb: list[str]) -> None:
        # The reply contains the last error; nothing uses the message that the base class would publish as well.
        self.show_error()
        self.error, self.shown = evalue, tuple(stb)
        self._last_traceback = stb
        if getattr(self.displayhook, "msg", None) is not None:
            self._last_traceback_during_displayhook = True


class SessionKernel(_IPythonKernel):  # type: ignore[misc]
    """A kernel that is restored to working order for every cell, whatever the previous one did to it."""

    shell_class = SessionShell
    compiler_class = CellCompiler

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.current_cell: str | None = None
        self._streams: tuple[Any, Any] = (sys.stdout, sys.stderr)
        self._builtins = dict(vars(builtins))
        self._finders = list(sys.meta_path)
        self._recursion_limit = sys.getrecursionlimit()
        self.shell_handlers[VARIABLES_REQUEST] = self.variables_request
        self.control_handlers[LARGEST_REQUEST] = self.largest_request
        self.session.begin_cell()

    def pre_handler_hook(self) -> None:
        """Install our handler of SIGINT, whatever the last cell did."""
        interrupts.handle()

    def post_handler_hook(self) -> None:
        """Keep the handler: between two cells it does nothing."""

    async def poll_stopped_queue(self) -> None:
        """Do nothing: this queue is the debugger's, which is not used."""

    def set_parent(self, ident: Any, parent: Any, channel: str = "shell") -> None:
        """Set the owner of the following output, after restoring our streams."""
        if channel == "shell":
            self._restore_process()
        super().set_parent(ident, parent, channel)

    async def do_execute(self, code: str, silent: bool, *args: Any, **kwargs: Any) -> dict[str, Any]:
        """Run a cell; the reply also contains the line of an error and whether output was cut."""
        shell = self.shell
        shell.cell_name, shell.error = history_pruning.cell_name(shell.execution_count), None
        shell.compile.begin_cell(shell.execution_count)
        self.session.begin_cell()
        for stream in self._streams:
            stream.begin_cell()
        self.current_cell = self.get_parent("shell")["header"]["msg_id"]
        shell.set_file(self.get_parent("shell")["content"].get("analystd_file"))
        try:
            with interrupts.UserCode():
                reply = await super().do_execute(code, silent, *args, **kwargs)
        except (Exception, KeyboardInterrupt) as exc:
            self._end_forked_child(exc)
            # Either the interrupt arrived a moment too late for the cell, or the cell broke the shell.
            reply = {"status": "error", "ename": type(exc).__name__, "evalue": str(exc), "traceback": []}
            reply.update(execution_count=shell.execution_count, user_expressions={}, payload=[])
        finally:
            self._end_forked_child(shell.error)
            self.current_cell = None
            self._restore_process()
        if reply["status"] == "ok" and isinstance(shell.error, KeyboardInterrupt):
            # Nested code treated the interrupt as its own error.
            reply = {**reply, "status": "error", "traceback": list(shell.shown)}
        elif reply["status"] == "ok":
            shell.show_error()
        self._tell_of_temporary_files()
        cut_bytes = sum(stream.end_cell() for stream in self._streams)
        if shell.error is not None and reply["status"] == "error":
            reply.update(ename=type(shell.error).__name__, evalue=_message(shell.error))
            _explain(reply, shell.error, shell.walls)
        line = line_in_cell(shell.error, shell.cell_name)
        if isinstance(shell.error, (KeyboardInterrupt, MemoryError)):
            forget_locals(shell.error.__traceback__)
        if shell.error is not None:
            history_pruning.forget_traceback()
        shell.error = None
        history_pruning.forget_outputs(shell)
        history_pruning.forget_old_cell(shell)
        return _bounded_reply(reply, line, bool(cut_bytes or self.session.displays_cut))

    def raw_input(self, prompt: str = "") -> str:
        """Refuse to ask."""
        raise StdinNotImplementedError(_NO_DEBUGGER if prompt.lstrip("(").startswith(_DEBUGGERS) else _NO_INPUT)

    def getpass(self, prompt: str = "", stream: Any = None, **options: Any) -> str:
        """Refuse to ask."""
        raise StdinNotImplementedError(_NO_INPUT.replace("input()", "getpass()"))

    def do_complete(self, code: str, cursor_pos: int) -> dict[str, Any]:
        """Return completions for the word at the cursor."""
        try:
            with at_most(_ASIDE_SECONDS):
                reply: dict[str, Any] = super().do_complete(code, cursor_pos)
        except (Exception, TooSlowError):
            return {"status": "ok", "matches": [], "cursor_start": cursor_pos, "cursor_end": cursor_pos, "metadata": {}}
        matches, start = reply["matches"][:_MAX_MATCHES], reply["cursor_start"]
        if code[start : start + 1] == "." and all(match.startswith(".") for match in matches):
            # Exclude the dot, for editors that compare the replaced text with the completions.
            matches, start = [match[1:] for match in matches], start + 1
        return {**reply, "matches": matches, "cursor_start": start, "metadata": {}}

    def do_inspect(self, code: str, cursor_pos: int, *args: Any, **kwargs: Any) -> dict[str, Any]:
        """Describe the name at the cursor. IPython's own answer would call `__repr__` and properties to make a page for a pager."""
        name = IPython.utils.tokenutil.token_at_cursor(code, cursor_pos)
        try:
            with at_most(_ASIDE_SECONDS):
                text = inspection.text(name, self.shell.user_ns)
        except (Exception, TooSlowError):
            text = None
        return {
            "status": "ok",
            "found": text is not None,
            "data": {"text/plain": text} if text is not None else {},
            "metadata": {},
        }

    async def variables_request(self, stream: Any, ident: Any, parent: Any) -> None:
        """Answer with the user's variables."""
        shell = self.shell
        rows = namespace.variables(shell.user_ns, shell.user_ns_hidden)
        self.session.send(stream, "analystd_variables_reply", {"status": "ok", "variables": rows}, parent, ident=ident)

    async def largest_request(self, stream: Any, ident: Any, parent: Any) -> None:
        """Answer with the variables that take the most memory, from the control channel's thread."""
        shell = self.shell
        rows = namespace.largest_variables(shell.user_ns, shell.user_ns_hidden, int(parent["content"]["limit"]))
        self.session.send(stream, "analystd_largest_reply", {"status": "ok", "variables": rows}, parent, ident=ident)

    def _end_forked_child(self, error: BaseException | None) -> None:
        """Exit in a child that the cell created with `os.fork`: it must not become a second kernel on the same sockets."""
        if os.getpid() == self.session.pid:
            return
        if error is not None and not isinstance(error, KeyboardInterrupt):
            os.write(2, "".join(traceback.format_exception(error)).encode("utf-8", "replace"))
        os._exit(error is not None)

    def _tell_of_temporary_files(self) -> None:
        if self.shell.temporary_files is not None and (sentence := self.shell.temporary_files.news()):
            self._streams[1].write(f"{sentence}\n")

    def _restore_process(self) -> None:
        vars(builtins).update(self._builtins | self._own_builtins())
        sys.stdout, sys.stderr = self._streams
        if not sys.meta_path:
            sys.meta_path[:] = self._finders
        if sys.getrecursionlimit() < self._recursion_limit:
            sys.setrecursionlimit(self._recursion_limit)

    def _own_builtins(self) -> dict[str, Any]:
        # An import hook is permitted, because libraries install them; one that is not callable would break the session.
        current = vars(builtins).get("__import__")
        return {"__import__": current} if callable(current) else {}


def _message(error: BaseException) -> str:
    try:
        return str(error)
    except Exception as exc:
        return f"<its message cannot be shown: {type(exc).__name__}>"


def _explain(reply: dict[str, Any], error: BaseException, walls: SessionAccess | None) -> None:
    """Add the sandbox's explanation of an error to its message and below its traceback."""
    try:
        sentence = walls.explain(error) if walls is not None else None
    except Exception:
        # Attributes of a user's own exception may do anything.
        return
    if sentence is not None:
        message = reply["evalue"].rstrip(". \n")
        reply["evalue"] = f"{message}. {sentence}" if message else sentence
        reply["traceback"] = [*reply["traceback"], sentence]


def _bounded_reply(reply: dict[str, Any], line: int | None, cut: bool) -> dict[str, Any]:
    if reply["status"] == "error":
        text = "\n".join(str(part) for part in reply["traceback"])
        reply["traceback"] = bounded_text(text, _MAX_TRACEBACK_CHARACTERS).splitlines()
        reply["evalue"] = bounded_text(reply["evalue"], _MAX_MESSAGE_CHARACTERS)
        reply["ename"] = bounded_text(reply["ename"], _MAX_NAME_CHARACTERS)
    reply["analystd"] = {"line": line, "cut": cut}
    return reply
