"""What an interrupted thread has in its vector registers and below its stack, which a library's loader does not keep.

A thread that computes has its numbers there.
"""

import ctypes
import os
from collections.abc import Iterator
from contextlib import contextmanager

PTRACE_GETREGSET, PTRACE_SETREGSET = 0x4204, 0x4205
REGISTER_SETS = {"x86_64": (0x202,), "aarch64": (2,)}
"""NT_X86_XSTATE, all of x87, SSE, AVX and AVX-512; NT_PRFPREG."""
MAX_BYTES = 2**16
RED_ZONE_BYTES = 128
"""Below the stack's end, which a function of x86-64 may use without saying so."""


class _Area(ctypes.Structure):
    _fields_ = (("base", ctypes.c_void_p), ("length", ctypes.c_size_t))


def can_keep() -> bool:
    """Whether the registers of this machine's processor are known."""
    return os.uname().machine in REGISTER_SETS


@contextmanager
def kept(pid: int, stack: int) -> Iterator[None]:
    """Give a thread that this one has stopped by ptrace its numbers back when the context is left.

    Args:
        pid: The thread.
        stack: Where its stack ends.

    Raises:
        OSError: They cannot be read, or not be given back.
    """
    saved = [(kind, _read(pid, kind)) for kind in REGISTER_SETS[os.uname().machine]]
    with open(f"/proc/{pid}/mem", "r+b", buffering=0) as memory:
        below = os.pread(memory.fileno(), RED_ZONE_BYTES, stack - RED_ZONE_BYTES)
        try:
            yield
        finally:
            os.pwrite(memory.fileno(), below, stack - RED_ZONE_BYTES)
            for kind, registers in saved:
                _call(PTRACE_SETREGSET, pid, kind, registers)


def _read(pid: int, kind: int) -> "ctypes.Array[ctypes.c_char]":
    buffer = ctypes.create_string_buffer(MAX_BYTES)
    length = _call(PTRACE_GETREGSET, pid, kind, buffer)
    return ctypes.create_string_buffer(buffer.raw[:length], length)


def _call(request: int, pid: int, kind: int, buffer: "ctypes.Array[ctypes.c_char]") -> int:
    """Call ptrace. Returns how many bytes there are. Raises OSError."""
    libc = ctypes.CDLL(None, use_errno=True)
    libc.ptrace.argtypes = (ctypes.c_long, ctypes.c_long, ctypes.c_void_p, ctypes.c_void_p)
    libc.ptrace.restype = ctypes.c_long
    area = _Area(ctypes.cast(buffer, ctypes.c_void_p), len(buffer))
    if libc.ptrace(request, pid, kind, ctypes.byref(area)) != 0:
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))
    return int(area.length)
