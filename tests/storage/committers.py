"""A committer that runs for a block."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import trio

from storage.committer import Committer, Durability
from storage.disk import Disk
from storage.distrust import Distrust


@asynccontextmanager
async def running_committer(
    disk: Disk, durability: Durability = Durability.SYNC, distrust: Distrust | None = None
) -> AsyncIterator[Committer]:
    committer = Committer(disk, durability, distrust)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(committer.run)
        yield committer
        nursery.cancel_scope.cancel()
