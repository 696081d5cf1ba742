"""Run the model's worker in the sandbox, with an environment that contains no secrets."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from analystd.config.folders import make_private
from analystd.jail.bound_file import BoundFile
from analystd.jail.sandbox import Policy, Sandbox
from analystd.models.memory_estimate import files_of

_ENVIRONMENT = ("PATH", "HOME", "LANG", "TMPDIR", "LD_LIBRARY_PATH", "DYLD_LIBRARY_PATH")
_ENVIRONMENT_PREFIXES = ("CUDA", "NVIDIA_", "HIP_", "ROCR_", "HSA_", "VK_", "GGML_", "LC_", "OMP_", "GOMP_")


@dataclass(frozen=True)
class WorkerSandbox:
    """The sandbox of the worker, which reads the model's files and the GPU's devices, writes to `runtime`, and has no network.

    A hostile model file that takes over the worker gains nothing by it.
    """

    sandbox: Sandbox
    runtime: Path

    def around(
        self, argv: list[str], environment: Mapping[str, str], files: Sequence[Path], cache: Path | None = None
    ) -> tuple[list[str], dict[str, str]]:
        """Return the worker's command line and environment in the sandbox; both unchanged where no sandbox is available.

        Args:
            argv: The command line of the worker.
            environment: Its environment.
            files: The model and its adapters. For a model in several files, the other parts are added.
            cache: A folder that the worker may also write to, and that outlives the daemon.

        Raises:
            OSError: when one of the files is missing.
        """
        if self.sandbox.level == "none":
            return argv, dict(environment)
        for name in ("home", "cache"):
            make_private(self.runtime / name)
        bound = tuple(BoundFile.at(part) for part in dict.fromkeys(part for file in files for part in files_of(file)))
        policy = Policy(self.runtime / "home", cache or self.runtime / "cache", files=bound, gpu=True)
        return self.sandbox.command(argv, policy), {**environment, **self.sandbox.environment(policy)}


def worker_environment(environment: Mapping[str, str]) -> dict[str, str]:
    """Return the variables that the worker needs to find its libraries and the GPU, without settings and secrets of the user.

    Waiting threads spin only briefly: by default, OpenMP spins so long that a second busy process on the machine (such as the user's Python)
    slows generation from 70 to 6 tokens a second. An idle machine is as fast either way.
    """
    kept = {
        name: value
        for name, value in environment.items()
        if name in _ENVIRONMENT or name.startswith(_ENVIRONMENT_PREFIXES)
    }
    return {"GOMP_SPINCOUNT": "1000", **kept}
