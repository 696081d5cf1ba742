"""Create the sessions of one desk, which share a launch and a spare kernel."""

from __future__ import annotations

from analystd.kernel.base import Session, SessionSupply
from analystd.kernel.execution import OutputHandler
from analystd.kernel.launch import Launch
from analystd.kernel.resource_guard import Guard
from analystd.kernel.session import KernelSession, TroubleHandler
from analystd.kernel.warm_kernel import WarmKernels


class SessionFactory(SessionSupply):
    """Create sessions whose kernels are all started in the same way and watched by `guard`."""

    def __init__(self, launch: Launch, guard: Guard | None = None) -> None:
        self._launch = launch
        self._spares = WarmKernels(launch, guard=guard)

    def session(self, name: str, on_background_output: OutputHandler, on_trouble: TroubleHandler) -> Session:
        """Return a new session, whose kernel starts with its first code."""
        launch = self._launch
        return KernelSession(
            name,
            launch.workspace,
            launch.runtime,
            launch.sandbox,
            read_only_paths=launch.read_only_paths,
            python=launch.python,
            spares=self._spares,
            on_background_output=on_background_output,
            on_trouble=on_trouble,
        )

    async def aclose(self) -> None:
        """End the spare. Harmless when repeated."""
        await self._spares.aclose()
