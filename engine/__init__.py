"""The numerics of vgtui: a deep MLP, trained step by step, with the gradient of every layer measured.

Arrays in, numbers out: nothing here uses a terminal, a process, a socket or a clock.
"""
