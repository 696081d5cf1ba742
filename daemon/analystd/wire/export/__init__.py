"""Generators for files that follow from the declarations of the wire: JSON Schemas, the Python client's records, the extension's types."""
