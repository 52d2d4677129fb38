"""One training run in its own process: the protocol, the worker, and the frame source that drives it."""
