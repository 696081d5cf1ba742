"""One module per group of wire methods."""
