"""Text as tables: where records lie, how they fall into cells, whatever the file is encoded in."""
