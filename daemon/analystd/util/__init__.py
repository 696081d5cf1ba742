"""Helpers that any part may use; they import nothing of ours but each other."""
