"""Which models there are: fetching them, what their files say, and how much memory they need."""
