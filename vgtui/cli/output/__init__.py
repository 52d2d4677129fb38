"""What `vgtui run` writes: frames, tables, reports, and how far it is."""
