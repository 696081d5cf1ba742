"""The walls: which paths are inside, which limits hold, how a worker is locked in."""
