"""Watching a training whose script does not know of it."""
