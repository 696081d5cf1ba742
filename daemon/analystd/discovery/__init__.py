"""Find the user's daemon, start one, and hand over to a newer version."""
