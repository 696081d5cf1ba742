"""The worker that opens files: tables and the file tools."""
