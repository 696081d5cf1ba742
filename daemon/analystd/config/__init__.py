"""Settings and where they come from, the user's folders, and which project files are believed."""
