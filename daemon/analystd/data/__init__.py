"""The data worker, which opens files: views of tables, and the file tools."""
