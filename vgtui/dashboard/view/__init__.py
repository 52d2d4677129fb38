"""What is shown, and when it is drawn."""
