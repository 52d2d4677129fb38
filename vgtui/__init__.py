"""vgtui: a terminal microscope for the vanishing gradient problem."""

__version__ = "0.1.0"
