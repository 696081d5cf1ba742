"""The relay between an editor's stdio and the daemon's socket; an editor starts it as `analystd stdio`."""
