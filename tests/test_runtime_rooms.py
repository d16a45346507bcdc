"""Sessions in Daily rooms: the rooms are made, and left, at a stand-in for Daily on loopback."""

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from control_plane import ORGANIZATION, RunningPlane, running_plane, stub_agent, wait_until

BOT = """
import asyncio
from pipecatcloud_system import app

told = {}

@app.get("/told")
async def what():
    return told

async def bot(args):
    told.update(room=args.room_url, token=args.token, body=args.body)
    await asyncio.sleep(3600)
"""


class Daily(ThreadingHTTPServer):
    """Daily's REST API as far as rooms and tokens go."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Asked)
        self.asked: list[tuple[str, str, Any]] = []
        self.rooms: set[str] = set()
        self.refuses: str | None = None
        """The path that is answered with an error."""

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}/v1"


class _Asked(BaseHTTPRequestHandler):
    server: Daily

    def _answer(self, status: int, body: dict[str, Any]) -> None:
        content = json.dumps(body).encode()
        self.send_response(status)
        self.send_header("content-length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["content-length"])))
        path = self.path.removeprefix("/v1")
        self.server.asked.append(("POST", path, body))
        if self.headers["authorization"] != "Bearer daily-key":
            self._answer(401, {"error": "authentication-error"})
        elif path == self.server.refuses:
            self._answer(400, {"error": "invalid-request-error", "info": "no more rooms"})
        elif path == "/rooms":
            name = f"room-{len(self.server.asked)}"
            self.server.rooms.add(name)
            self._answer(200, {"name": name, "url": f"https://example.daily.co/{name}"})
        else:
            owner = body["properties"].get("is_owner", False)
            self._answer(200, {"token": "bot-token" if owner else "user-token"})

    def do_DELETE(self) -> None:
        name = self.path.rpartition("/")[2]
        self.server.asked.append(("DELETE", name, None))
        self.server.rooms.discard(name)
        self._answer(200, {"deleted": True})

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def daily() -> Iterator[Daily]:
    """A stand-in for Daily."""
    server = Daily()
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield server
    server.shutdown()
    server.server_close()


@pytest.fixture
def plane(tmp_path: Path, daily: Daily) -> Iterator[RunningPlane]:
    """A control plane that makes rooms there."""
    agents = {"stub": stub_agent(tmp_path / "stub", BOT)}
    with running_plane(
        tmp_path, agents, DAILY_API_KEY="daily-key", DAILY_API_URL=daily.url
    ) as running:
        yield running


def test_a_session_has_a_room_that_ends_with_it(plane: RunningPlane, daily: Daily) -> None:
    reply = plane.start_session(
        "stub",
        createDailyRoom=True,
        dailyRoomProperties={"enable_recording": "cloud", "exp": 9_999_999_999},
        dailyMeetingTokenProperties={
            "user_name": "Ada",
            "room_name": "another-room",
            "exp": 9_999_999_999,
        },
        body={"n": [1, 2.5, "\u2603"]},
    )
    assert set(reply) == {"sessionId", "dailyRoom", "dailyToken"}
    assert reply["dailyToken"] == "user-token"
    path = f"/v1/public/stub/sessions/{reply['sessionId']}/told"
    assert plane.ask("GET", path, key=plane.public_key).json == {
        "room": reply["dailyRoom"],
        "token": "bot-token",
        "body": {"n": [1, 2.5, "\u2603"]},
    }
    posted = [(where, body["properties"]) for _, where, body in daily.asked]
    assert posted[0][0] == "/rooms"
    assert posted[0][1]["enable_recording"] == "cloud"
    assert posted[0][1]["eject_at_room_exp"] is True
    assert posted[2][1]["user_name"] == "Ada"
    assert "is_owner" not in posted[2][1]
    # A token for a room that is not the session's, or for longer, cannot be had.
    assert posted[2][1]["room_name"] == posted[1][1]["room_name"] != "another-room"
    assert {properties["exp"] < 9_999_999_999 for _, properties in posted} == {True}

    where = f"{ORGANIZATION}/services/stub/sessions/{reply['sessionId']}"
    assert plane.ask("DELETE", where).status == 200
    wait_until(lambda: not daily.rooms)
    assert plane.session("stub", reply["sessionId"])["endState"] == "terminated"
    assert "daily-key" not in plane.log.read_text()


@pytest.mark.parametrize("refuses", ["/rooms", "/meeting-tokens"])
def test_a_room_that_cannot_be_had_leaves_nothing(
    plane: RunningPlane, daily: Daily, refuses: str
) -> None:
    daily.refuses = refuses
    wanted = {"transport": "daily"}
    answer = plane.ask("POST", "/v1/public/stub/start", wanted, plane.public_key)
    assert answer.status == 502
    assert "no more rooms" in answer.json["error"]
    wait_until(lambda: not plane.pods())
    assert daily.rooms == set()
    listed = plane.ask("GET", f"{ORGANIZATION}/services/stub/sessions").json
    assert listed == {"sessions": [], "total_count": 0}


def test_without_a_key_a_room_is_refused_in_plain_words(tmp_path: Path) -> None:
    with running_plane(tmp_path, {"stub": stub_agent(tmp_path / "stub", BOT)}) as plane:
        answer = plane.ask(
            "POST", "/v1/public/stub/start", {"createDailyRoom": True}, plane.public_key
        )
        assert answer.status == 400
        assert "DAILY_API_KEY" in answer.json["error"]
