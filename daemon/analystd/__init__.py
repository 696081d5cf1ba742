"""An analyst's workstation behind your editor: a local model, a persistent Python session and a jailed workspace.

`connect()` and `connect_sync()` return a client for the desk of a workspace.
"""

from __future__ import annotations

# Importing `typing` would take longer than everything else that the sandbox launcher does.
TYPE_CHECKING = False
if TYPE_CHECKING:
    from analystd.client import Client, SyncClient, connect, connect_sync
    from analystd.wire import errors

__version__ = "0.1.0"
__all__ = ["Client", "SyncClient", "__version__", "connect", "connect_sync", "errors"]


def __getattr__(name: str) -> object:
    """Import the client on first use: the relay and the sandbox launcher import this package and must stay light."""
    if name == "errors":
        from analystd.wire import errors

        return errors
    if name in __all__:
        from analystd import client

        attribute: object = getattr(client, name)
        return attribute
    raise AttributeError(f"module 'analystd' has no attribute '{name}'")
