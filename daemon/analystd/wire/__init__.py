"""The wire protocol: framing, JSON-RPC messages, names, shapes and errors."""
