"""The wire: connections, the relay, and what each method does."""
