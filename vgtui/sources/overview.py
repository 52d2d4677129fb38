"""The trainings of this machine and of others, in one list."""

import asyncio
from collections.abc import Sequence
from typing import Protocol

from vgtui.sources.gpus import Device
from vgtui.sources.hosts import HostTrainings
from vgtui.sources.trainings import Training, Trainings


class _Machine(Protocol):
    """The trainings of one machine."""

    def rows(self) -> list[Training]: ...

    async def look_once(self) -> list[Training]: ...

    async def follow(self) -> None: ...


class Overview:
    """All trainings that there are to see, this machine's first."""

    def __init__(self, here: Trainings, hosts: Sequence[HostTrainings] = ()) -> None:
        self._here = here
        self._hosts = hosts
        self._machines: list[_Machine] = [here, *hosts]

    @property
    def has_hosts(self) -> bool:
        """Whether there are other machines."""
        return bool(self._hosts)

    @property
    def devices(self) -> Sequence[Device]:
        """The GPUs of this machine."""
        return self._here.devices

    @property
    def problem(self) -> str:
        """Why the trainings of this machine cannot be seen; "" if they can."""
        return self._here.problem

    @property
    def idle(self) -> list[str]:
        """The hosts on which no training is watched."""
        return [part.host for part in self._hosts if not part.rows()]

    def rows(self) -> list[Training]:
        """Return a row for each training, and for each host that cannot be asked."""
        return [row for part in self._machines for row in part.rows()]

    async def look_once(self) -> list[Training]:
        """Look once at all of them, side by side, for a few seconds at most."""
        found = await asyncio.gather(*(part.look_once() for part in self._machines))
        return [row for rows in found for row in rows]

    async def follow(self) -> None:
        """Follow all of them until it is cancelled."""
        async with asyncio.TaskGroup() as group:
            for part in self._machines:
                group.create_task(part.follow())
