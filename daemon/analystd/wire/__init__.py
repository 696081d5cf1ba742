"""What goes over the wire: frames, JSON-RPC messages, names, shapes and errors."""
