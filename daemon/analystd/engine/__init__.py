"""Local language models: the `Engine` protocol and its implementations."""
