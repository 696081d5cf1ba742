"""Helpers that any part may use. They import only each other."""
