"""The agent: the loop between the model and its tools."""
