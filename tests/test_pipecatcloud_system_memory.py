"""What a session leaves behind is collected, on any C library."""

import asyncio
import gc
import weakref

from pipecatcloud_system.memory import Memory


class Left:
    """An object in a cycle, as sessions leave them."""

    def __init__(self) -> None:
        self.itself = self


async def test_a_session_leaves_no_cycles() -> None:
    memory = Memory()
    memory.settle()
    gc.disable()
    try:
        left = weakref.ref(Left())
        assert left() is not None
        memory.give_back()
        assert left() is None
    finally:
        gc.enable()
        gc.unfreeze()
    await asyncio.get_running_loop().shutdown_default_executor()


async def test_without_glibc_it_still_collects() -> None:
    memory = Memory()
    memory._trim = None
    left = weakref.ref(Left())
    memory.give_back()
    assert left() is None
