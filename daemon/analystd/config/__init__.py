"""Settings and their sources, the user's folders, and which project files are trusted."""
