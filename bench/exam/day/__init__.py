"""Ask what an analyst is asked in a day, of files as people have them; each topic computes what it expects from the files."""
