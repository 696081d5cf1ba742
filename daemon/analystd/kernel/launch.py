"""All that decides how a desk's kernels are started, and the walls that follow from it."""

from __future__ import annotations

import os
import secrets
import tempfile
from dataclasses import dataclass, field
from pathlib import Path

from analystd.config.folders import make_private
from analystd.jail.allowed_paths import KERNEL, SYSTEM
from analystd.jail.resource_usage import memory
from analystd.jail.sandbox import Policy, Sandbox
from analystd.jail.trusted_paths import TrustedPaths
from analystd.kernel.inside.error_hints import SessionAccess

INSIDE = Path(__file__).parent / "inside"
"""The kernel's own code."""

TOOLBOX = Path(__file__).parents[1] / "toolbox"
"""What sessions can import beside their own packages."""

_SOCKET_PATH_BYTES = 107


@dataclass(frozen=True)
class Launch:
    """All that decides how a desk's kernels are started; kernels of equal launches are interchangeable."""

    workspace: Path
    runtime: Path
    """A folder for sockets and caches, which the desk's kernels share and nothing else uses."""
    sandbox: Sandbox
    read_only_paths: tuple[Path, ...] = ()
    python: Path | None = None
    """The interpreter, which needs ipykernel; None: the daemon's own."""
    trusted: TrustedPaths | None = field(default=None, compare=False)
    """What in the workspace is sealed, and what the code makes that is moved aside; None: nothing."""
    sealed: tuple[Path, ...] = ()
    """What is read-only in the workspace beside that."""
    pinned: tuple[Path, ...] = ()
    """The folders on the way there, which cannot be renamed."""

    def policy(self, sockets: Path) -> Policy:
        """What a kernel with its sockets in that folder may touch."""
        runtime = self.runtime if sockets.is_relative_to(self.runtime) else sockets
        read = (*self.read_only_paths, INSIDE, TOOLBOX)
        return Policy(self.workspace, runtime, read, self.python, sealed=self.sealed, pinned=self.pinned)

    def walls(self, policy: Policy) -> SessionAccess | None:
        """What the kernel is told of its walls, so that it can explain what they refuse; None where there are none."""
        if self.sandbox.level == "none":
            return None
        imports = (*self.sandbox.interpreter(self.python).paths, *self.sandbox.interpreter(None).paths)
        return SessionAccess(
            workspace=os.path.realpath(self.workspace),
            read_only=tuple(
                os.path.realpath(path) for path in (*policy.read_only, *imports, *map(Path, (*SYSTEM, *KERNEL)))
            ),
            runtime=os.path.realpath(policy.runtime),
            hides=self.sandbox.level == "full",
            memory_bytes=memory().total,
        )

    def socket_folder(self) -> Path:
        """A new folder for one kernel's sockets, under `runtime` unless that makes their paths too long for the system."""
        make_private(self.runtime)
        folder = self.runtime / f"k{secrets.token_hex(3)}"
        if len(os.fsencode(folder / "s-5")) > _SOCKET_PATH_BYTES:
            return Path(tempfile.mkdtemp(prefix="analystd-"))
        folder.mkdir(mode=0o700)
        return folder
