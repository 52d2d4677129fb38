"""Watching your own model: measured in its process, sent to viewers over a socket or written to a recording."""
