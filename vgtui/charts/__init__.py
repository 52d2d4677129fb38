"""plotext figures, turned into rows of characters that a terminal widget can colour."""
