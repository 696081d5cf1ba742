"""The file tools' operations: list, read and write."""
