"""Hold the questions over public tables, a module for each family."""
