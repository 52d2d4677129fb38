"""Models of other frameworks, watched."""
