"""Questions that an analyst is asked in a day, about files as people have them; each topic computes the expected values from the files."""
