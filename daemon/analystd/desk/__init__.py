"""Everything that one workspace has: runs, conversations, sessions, journal."""
