"""The main screen and its overlays."""
