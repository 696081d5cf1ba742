"""The work of the file tools: listing, reading, writing."""
