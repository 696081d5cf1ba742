"""The kernel application: without configuration files, history or colours."""

from __future__ import annotations

import asyncio
import contextlib
import sys
import warnings
from pathlib import Path
from typing import Any

import ipykernel.kernelapp
import zmq
from traitlets import Dict, default
from traitlets.config import Config

from .shell import SessionKernel, SessionWire

_kernelapp: Any = ipykernel.kernelapp
_IPKernelApp: Any = _kernelapp.IPKernelApp
_IOPubThread: Any = _kernelapp.IOPubThread

_COLLECT_SECONDS = 1.0


class OutputThread(_IOPubThread):  # type: ignore[misc]
    """ipykernel's thread for outputs, which sleeps while there are none.

    It closes the pipes of threads that printed and have ended; ipykernel would search for them every ten seconds. A thread that runs must be
    avoided, because files that appear in the workspace while any thread of a session runs are attributed to the session.
    """

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        self._stirred = asyncio.Event()
        super().__init__(*args, **kwargs)

    def _handle_event(self, message: Any) -> None:
        self._stirred.set()
        super()._handle_event(message)

    async def _run_event_pipe_gc(self) -> None:
        while True:
            await self._stirred.wait()
            await asyncio.sleep(_COLLECT_SECONDS)
            self._stirred.clear()
            with contextlib.suppress(Exception):
                await self._event_pipe_gc()


class SessionApp(_IPKernelApp):  # type: ignore[misc]
    """ipykernel's application, with the connection info as a parameter instead of a file."""

    kernel_class = SessionKernel
    connection = Dict()

    @default("config")
    def _default_config(self) -> Config:
        config = Config()
        config.HistoryManager.enabled = False
        # Jedi takes two seconds for its first answer, and calls the user's properties; editors have it, or better, themselves.
        config.IPCompleter.use_jedi = False
        config.InteractiveShell.colors = "nocolor"
        config.InteractiveShellApp.exec_PYTHONSTARTUP = False
        config.IPKernelApp.capture_fd_output = False
        config.IPKernelApp.outstream_class = f"{__package__}.streams.SessionStream"
        config.IPythonKernel._execute_sleep = 0.0
        return config

    @default("session")
    def _default_session(self) -> SessionWire:
        return SessionWire(parent=self)

    def load_config_file(self, *args: Any, **kwargs: Any) -> None:
        """Do not read files: code that an earlier session wrote into the profile would run in every later one."""

    def _run_startup_files(self) -> None:
        """Do not run startup files, for the same reason."""

    def init_iopub(self, context: Any) -> None:
        """Make the output channel wait for a slow reader; otherwise it would drop messages, even the last one of a cell."""
        context.setsockopt(zmq.XPUB_NODROP, 1)
        _kernelapp.IOPubThread = OutputThread
        super().init_iopub(context)

    def init_connection_file(self) -> None:
        """Use the given connection info."""
        self.load_connection_info(self.connection)

    def write_connection_file(self, **kwargs: Any) -> None:
        """Do not write a file: the daemon knows the connection info already."""

    def log_connection_info(self) -> None:
        """Do not log it either."""

    def init_shell(self) -> None:
        """Suppress IPython's advice on `sys.exit()` to press Ctrl-D."""
        super().init_shell()
        warnings.filterwarnings("ignore", message="To exit: use")

    def init_path(self) -> None:
        """Permit imports from the workspace and the current folder, after the standard library as IPython does."""
        super().init_path()
        workspace = str(Path.cwd())
        if workspace not in sys.path:
            sys.path.append(workspace)
