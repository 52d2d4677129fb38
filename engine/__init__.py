"""The numerics of vgtui: a deep MLP, trained step by step, with every layer's gradient measured.

Arrays in, numbers out: nothing here knows a terminal, a process, a socket or a clock.
"""
