"""Local language models: the protocol, and the processes behind it."""
