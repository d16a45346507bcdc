"""Drop-in: a bot.py meets `app` and nothing else, whichever server runs it."""

import importlib.util
import pkgutil
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from fastapi import FastAPI
from pod_process import REPOSITORY

import pipecatcloud_system
from pipecatcloud_system.application import add_lifespan_to_app, app


def test_importing_gives_two_names_and_no_route() -> None:
    code = (
        "import sys, logging, pipecatcloud_system as p\n"
        "print(sorted(p.__all__), len(p.app.routes), p.app.user_middleware)\n"
        "print([n for n in sys.modules if n.startswith(('pipecatcloud_system.', 'pipecat.'))])\n"
        "print('bot' in sys.modules, 'uvicorn' in sys.modules)\n"
    )
    told = subprocess.run(
        [sys.executable, "-c", code], cwd=REPOSITORY, capture_output=True, text=True, check=True
    )
    assert told.stdout.splitlines() == [
        "['add_lifespan_to_app', 'app'] 0 []",
        "['pipecatcloud_system.application']",
        "False False",
    ]
    assert told.stderr == ""


def test_no_module_takes_a_name_of_the_official_image() -> None:
    taken = {"app", "waiting_server", "feature_manager", "pcc_observers"}
    assert not taken & {path.stem for path in REPOSITORY.glob("*.py")}
    assert not taken & {path.name for path in REPOSITORY.iterdir()}
    names = {module.name for module in pkgutil.iter_modules(pipecatcloud_system.__path__)}
    assert "app" not in names
    assert importlib.util.find_spec("pipecatcloud_system.application") is not None


async def test_lifespans_are_entered_in_order_and_left_in_reverse() -> None:
    order: list[str] = []
    before = app.router.lifespan_context

    def lifespan(name: str):  # type: ignore[no-untyped-def]
        @asynccontextmanager
        async def context(application: FastAPI) -> AsyncIterator[None]:
            assert application is app
            order.append(f"{name} in")
            yield
            order.append(f"{name} out")

        return context

    try:
        add_lifespan_to_app(lifespan("first"))
        add_lifespan_to_app(lifespan("second"))
        async with app.router.lifespan_context(app):
            order.append("served")
    finally:
        app.router.lifespan_context = before
    assert order == ["first in", "second in", "served", "second out", "first out"]
