"""Finding the user's daemon, starting one, and handing over to a newer version."""
