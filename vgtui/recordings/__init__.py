"""The frame format."""
