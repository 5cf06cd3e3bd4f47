"""Session files read once, each distinct message kept once."""
