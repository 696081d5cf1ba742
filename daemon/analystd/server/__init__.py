"""The daemon: its socket, the connections of its clients, and the handlers of their requests."""
