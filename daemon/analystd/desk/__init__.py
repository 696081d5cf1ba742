"""Everything that the daemon holds for one workspace: runs, conversations, sessions, journal."""
