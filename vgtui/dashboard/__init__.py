"""The Textual app: a pure function of frames and keys."""
