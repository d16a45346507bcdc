"""Routes of bot.py on the pod's own paths: refused, and named."""

from pathlib import Path

import pytest
from fastapi import APIRouter, FastAPI, WebSocket
from fastapi.staticfiles import StaticFiles
from test_pipecatcloud_system_server import run_pod

from pipecatcloud_system.reserved import RESERVED, RouteTaken, check_paths

BOT = """
from pipecatcloud_system import app

async def bot(args): ...

@app.get("/{anything}")
async def catch_all(anything: str): ...
"""


async def endpoint() -> None: ...


@pytest.mark.parametrize(("method", "path"), RESERVED)
def test_the_pods_own_paths_are_taken(method: str, path: str) -> None:
    app = FastAPI()
    if method == "WS":

        @app.websocket(path)
        async def socket(websocket: WebSocket) -> None: ...

    else:
        app.add_api_route(path, endpoint, methods=[method])
    with pytest.raises(RouteTaken, match=rf"{method} {path}"):
        check_paths(app.routes)


@pytest.mark.parametrize(
    ("method", "path", "taken"),
    [
        ("GET", "/{anything}", "GET /readyz"),
        ("POST", "/{anything}", "POST /bot"),
        ("GET", "/{rest:path}", "GET /readyz"),
        ("PATCH", "/api/{what}", "PATCH /api/offer"),
        # Not in the way, but taken for the pod's by whoever reads it.
        ("GET", "/bot", "POST /bot"),
        ("GET", "/ws", "WS /ws"),
    ],
)
def test_what_would_swallow_them_is_named(method: str, path: str, taken: str) -> None:
    router = APIRouter()
    router.add_api_route(path, endpoint, methods=[method])
    app = FastAPI()
    app.include_router(router)
    with pytest.raises(RouteTaken) as caught:
        check_paths(app.routes)
    assert f"route {method} {path} takes {taken}" in str(caught.value)


@pytest.mark.parametrize(
    ("path", "named"), [("/", "mount at '/'"), ("", "mount at '/'"), ("/api", "mount at '/api'")]
)
def test_mounts_too(tmp_path: Path, path: str, named: str) -> None:
    app = FastAPI()
    app.mount(path, StaticFiles(directory=tmp_path))
    with pytest.raises(RouteTaken, match=named):
        check_paths(app.routes)


def test_other_routes_may_stay(tmp_path: Path) -> None:
    app = FastAPI()
    for path in ("/", "/speak", "/api/offers", "/bot/{name}", "/pcc/{a}/{b}"):
        app.add_api_route(path, endpoint, methods=["GET", "POST"])
    app.add_api_route("/api/{what}", endpoint, methods=["GET"])
    app.mount("/client", StaticFiles(directory=tmp_path))
    check_paths(app.routes)


def test_the_pod_does_not_start(tmp_path: Path) -> None:
    (tmp_path / "bot.py").write_text(BOT)
    ended = run_pod(tmp_path, PORT="0")
    assert ended.returncode == 1
    assert "bot.py's route GET /{anything} takes GET /readyz" in ended.stderr
    assert "Traceback" not in ended.stderr
    assert "Listening" not in ended.stdout
