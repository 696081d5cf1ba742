"""Text files as tables: finding records and splitting them into cells, in any supported encoding."""
