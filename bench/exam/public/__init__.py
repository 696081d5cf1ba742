"""Questions about public tables, with a module for each family."""
