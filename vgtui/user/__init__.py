"""What is the user's own: settings, themes, lessons."""
