"""The FastAPI application that bot.py and the pod share, and its chain of lifespans."""

from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Any

from fastapi import FastAPI

Lifespan = Callable[[FastAPI], AbstractAsyncContextManager[Any]]

# No documentation routes: their pages load scripts from other hosts.
app = FastAPI(docs_url=None, redoc_url=None, openapi_url=None)


def add_lifespan_to_app(new_lifespan: Lifespan) -> None:
    """Chain a lifespan onto ``app``: entered after the ones already there, left before them.

    Args:
        new_lifespan: called with the app, gives an async context manager. What it raises on
            entering keeps the pod from starting.
    """
    earlier_lifespan = app.router.lifespan_context

    @asynccontextmanager
    async def chained(application: FastAPI) -> AsyncIterator[None]:
        async with earlier_lifespan(application), new_lifespan(application):
            yield

    app.router.lifespan_context = chained
