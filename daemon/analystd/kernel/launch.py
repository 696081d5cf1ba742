"""The parameters with which a desk's kernels are started, and the sandbox policy that follows from them."""

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
"""The package that sessions can import besides their own ones."""

_SOCKET_PATH_BYTES = 107


@dataclass(frozen=True)
class Launch:
    """The parameters with which a desk's kernels are started; kernels of equal launches are interchangeable."""

    workspace: Path
    runtime: Path
    """A folder for sockets and caches, shared by the desk's kernels and used by nothing else."""
    sandbox: Sandbox
    read_only_paths: tuple[Path, ...] = ()
    python: Path | None = None
    """The interpreter, which needs ipykernel; None: the daemon's own."""
    trusted: TrustedPaths | None = field(default=None, compare=False)
    """The guard that seals trusted files in the workspace and moves new ones aside; None if there is none."""
    sealed: tuple[Path, ...] = ()
    """Further read-only paths in the workspace."""
    pinned: tuple[Path, ...] = ()
    """The folders on the way to sealed paths, which cannot be renamed."""

    def policy(self, sockets: Path) -> Policy:
        """Return the sandbox policy of a kernel with its sockets in that folder."""
        runtime = self.runtime if sockets.is_relative_to(self.runtime) else sockets
        read = (*self.read_only_paths, INSIDE, TOOLBOX)
        return Policy(self.workspace, runtime, read, self.python, sealed=self.sealed, pinned=self.pinned)

    def walls(self, policy: Policy) -> SessionAccess | None:
        """Return the description of the sandbox from which the kernel explains refusals; None without a sandbox."""
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
        """Create a folder for one kernel's sockets, under `runtime` unless that makes their paths too long for the system."""
        make_private(self.runtime)
        folder = self.runtime / f"k{secrets.token_hex(3)}"
        if len(os.fsencode(folder / "s-5")) > _SOCKET_PATH_BYTES:
            return Path(tempfile.mkdtemp(prefix="analystd-"))
        folder.mkdir(mode=0o700)
        return folder
