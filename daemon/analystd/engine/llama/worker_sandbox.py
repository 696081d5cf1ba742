"""What the model's worker gets of this machine: walls around it, and an environment without secrets."""

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
    """Where the worker is locked in: it reads the model's files and the GPU's devices, writes in `runtime`, and has no network.

    So a hostile model file that takes over the worker has gained nothing.
    """

    sandbox: Sandbox
    runtime: Path

    def around(
        self, argv: list[str], environment: Mapping[str, str], files: Sequence[Path], cache: Path | None = None
    ) -> tuple[list[str], dict[str, str]]:
        """The command line and the environment of the worker behind the walls; as they are where no walls can be had.

        `files` are the model and its adapters; of one that comes in parts, the others are added. `cache` is written in too, and outlives
        the daemon.

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
    """What the worker needs to find its libraries and the GPU; no setting and no secret of the user's.

    Threads that wait for each other spin only briefly: left to its default, OpenMP spins so long that a second busy process on the
    machine (the user's Python, say) brings generation from 70 down to 6 tokens a second. An idle machine is as fast either way.
    """
    kept = {
        name: value
        for name, value in environment.items()
        if name in _ENVIRONMENT or name.startswith(_ENVIRONMENT_PREFIXES)
    }
    return {"GOMP_SPINCOUNT": "1000", **kept}
