"""What an editor starts: the relay between its stdio and the daemon's socket."""
