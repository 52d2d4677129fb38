"""What a run is: its settings, options, quantities and history."""
