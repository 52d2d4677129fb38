"""The widgets of the screens, one in each file."""
