"""What keys do to runs; no Textual in here."""
