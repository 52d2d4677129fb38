"""Somebody's own model: measured in their process, given to viewers over a socket, or into a recording."""
