"""What the terminal can show, and text for it."""
