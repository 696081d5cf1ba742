"""An analyst's workstation behind your editor."""

__version__ = "0.1.0"
