"""The application around the kernel: no files of its own, no history, plain colours."""

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
    """ipykernel's thread for outputs, asleep while there are none.

    It closes the pipes of threads that printed and have ended; ipykernel looks for them each ten seconds. Whoever sees a thread run takes
    what appears in the workspace for the session's.
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
    """ipykernel's application, told where to listen instead of reading a file."""

    kernel_class = SessionKernel
    connection = Dict()

    @default("config")
    def _default_config(self) -> Config:
        config = Config()
        config.HistoryManager.enabled = False
        # Jedi takes two seconds for the first answer, and calls the user's properties; editors have it, or better, for themselves.
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
        """Read no file: what code of an earlier session wrote into the profile would run in each later one."""

    def _run_startup_files(self) -> None:
        """Nor run any."""

    def init_iopub(self, context: Any) -> None:
        """Open the channel of outputs so that it waits for a slow reader; it would drop messages, the last one of a cell too."""
        context.setsockopt(zmq.XPUB_NODROP, 1)
        _kernelapp.IOPubThread = OutputThread
        super().init_iopub(context)

    def init_connection_file(self) -> None:
        """Take the connection as it was given."""
        self.load_connection_info(self.connection)

    def write_connection_file(self, **kwargs: Any) -> None:
        """Whoever may connect knows the connection already."""

    def log_connection_info(self) -> None:
        """Nor does anybody need to be told."""

    def init_shell(self) -> None:
        """Spare whoever calls `sys.exit()` the advice to press Ctrl-D."""
        super().init_shell()
        warnings.filterwarnings("ignore", message="To exit: use")

    def init_path(self) -> None:
        """Let code import from the workspace and the current folder, behind the standard library as IPython does."""
        super().init_path()
        workspace = str(Path.cwd())
        if workspace not in sys.path:
            sys.path.append(workspace)
