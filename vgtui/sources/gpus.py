"""The GPUs of this machine and who uses them, as NVIDIA's library tells; nothing where it is missing or finds none."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True, slots=True)
class Device:
    """A GPU at a moment. What the driver does not tell is None.

    Attributes:
        index: Its number.
        name: What its maker calls it.
        busy: The share of the last moment in which it computed.
        used: Bytes of its memory that are taken.
        total: Bytes of its memory.
        processes: The bytes that each process has taken, by the process's number.
    """

    index: int
    name: str
    busy: float | None = None
    used: int | None = None
    total: int | None = None
    processes: Mapping[int, int | None] = field(default_factory=dict)


def read_devices() -> list[Device]:
    """Read what the GPUs do now. Takes milliseconds, and the first time as long as the driver takes to start.

    Returns:
        The GPUs; none without nvidia-ml-py, without a driver, or where the driver fails.
    """
    try:
        import pynvml
    except ImportError:
        return []
    try:
        pynvml.nvmlInit()
        try:
            return [_device(pynvml, index) for index in range(pynvml.nvmlDeviceGetCount())]
        finally:
            pynvml.nvmlShutdown()
    except (pynvml.NVMLError, OSError):
        return []


def _device(pynvml: Any, index: int) -> Device:
    handle = pynvml.nvmlDeviceGetHandleByIndex(index)

    def ask(name: str) -> Any:
        """What a function of the library says; None where this GPU does not tell, as with MIG."""
        try:
            return getattr(pynvml, name)(handle)
        except pynvml.NVMLError:
            return None

    name, rates, memory = (ask(f"nvmlDeviceGet{what}") for what in ("Name", "UtilizationRates", "MemoryInfo"))
    processes = [*(ask("nvmlDeviceGetComputeRunningProcesses") or ())]
    return Device(
        index,
        name.decode() if isinstance(name, bytes) else str(name or "GPU"),
        None if rates is None else rates.gpu / 100,
        None if memory is None else int(memory.used),
        None if memory is None else int(memory.total),
        {int(process.pid): process.usedGpuMemory for process in processes},
    )
