"""Keep the process's memory flat from session to session."""

import asyncio
import ctypes
import gc

_M_ARENA_MAX = -8
"""From glibc's malloc.h."""


class Memory:
    """Gives back what a session used; where the C library is not glibc, to Python only.

    glibc keeps an arena for every thread, and what lies freed in one is of no use to the others:
    pictures that threads hand on would let a pod grow with each session.
    """

    def __init__(self) -> None:
        libc = ctypes.CDLL(None)
        self._trim = getattr(libc, "malloc_trim", None)
        if self._trim is not None and hasattr(libc, "mallopt"):
            libc.mallopt(_M_ARENA_MAX, 1)
        self._settled = False

    def settle(self) -> None:
        """Take all that lives at the first session for lasting.

        Later collections pass it over: they take milliseconds, not a tenth of a second.
        """
        if not self._settled:
            self._settled = True
            gc.freeze()

    def give_back(self) -> None:
        """Collect what the session left, and hand free memory to the system."""
        gc.collect()
        if self._trim is not None:
            asyncio.get_running_loop().run_in_executor(None, self._trim, 0)
