"""The available models: finding and fetching them, reading their files, and estimating the memory that they need."""
