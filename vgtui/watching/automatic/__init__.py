"""Watching without a line in the script: `vgtui exec`, and `vgtui attach --inject` into a process that runs already."""
