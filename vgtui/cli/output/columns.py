"""Rows of words in aligned columns, for a terminal."""


class Columns:
    """The widths of a table's columns.

    Args:
        forms: One for each column, as in a format string: "<12" is 12 characters wide and aligned on the left, ">7" on
            the right, "" is as wide as its words.
        gap: What stands between two columns.
    """

    def __init__(self, *forms: str, gap: str = "  ") -> None:
        self._forms = forms
        self._gap = gap

    def row(self, *cells: object) -> str:
        """One line; cells that are not given are left out."""
        return self._gap.join(format(str(cell), form) for cell, form in zip(cells, self._forms, strict=False))
