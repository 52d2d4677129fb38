"""What keys do to runs, without Textual."""
