"""How files are read once, written by one rule, and replaced as a whole."""
