"""Wrong requests of every kind, from a seed: what a pod must refuse without being hurt by it."""

import base64
import json
import random
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

ROUTES = (
    ("POST", "/bot"),
    ("POST", "/api/offer"),
    ("PATCH", "/api/offer"),
    ("POST", "/speak"),
    ("POST", "/context"),
    ("POST", "/interrupt"),
)
PATHS = (
    *("/", "/bot", "/ws", "/api/offer", "/speak", "/context", "/interrupt", "/status", "/readyz"),
    *("/livez", "/client/", "/client/client.js", "/pcc/capabilities", "/openapi.json", "/whatsapp"),
)
NASTY_TEXT = (
    *("", " ", "\0", "-1", "0", "1e309", "nan", "65536", "99999999999999999999", "é" * 30, "🙂"),
    *("a" * 5_000, "%s%n", "../../etc/passwd", "<script>", "'; --", "*", "0x7f", "\x7f", "::1"),
)
ENCODED = "é".encode("latin-1")
"""Text that is no UTF-8."""


@dataclass(frozen=True)
class Wrong:
    """One wrong request, as it goes over the wire.

    Attributes:
        kind: what is wrong with it.
        sent: all its bytes; half a request ends in the middle.
        half: whether the client leaves without an answer.
    """

    kind: str
    sent: bytes
    half: bool = False


def wrong_requests(seed: int, count: int, offer_sdp: str, host: str) -> Iterator[Wrong]:
    """Wrong requests, all kinds in turn.

    Args:
        seed: of what is chosen.
        count: how many.
        offer_sdp: a right offer, to be spoilt.
        host: the pod's host and port.
    """
    maker = _Maker(random.Random(seed), offer_sdp, host)
    for number in range(count):
        kind, make = maker.kinds[number % len(maker.kinds)]
        made = make()
        yield made if isinstance(made, Wrong) else Wrong(kind, made)


def spoilt_sdp(rng: random.Random, sdp: str) -> str:
    """An SDP with one to four of its lines gone, doubled, cut, moved or with other values."""
    lines = sdp.split("\r\n")
    for _ in range(rng.randint(1, 4)):
        at = rng.randrange(len(lines))
        line = lines[at]
        match rng.randrange(7):
            case 0 if len(lines) > 1:
                del lines[at]
            case 1:
                lines.insert(at, rng.choice(lines))
            case 2:
                lines[at] = line[: rng.randrange(len(line) + 1)]
            case 3:
                lines[at] = _with_one_other(rng, line, " ")
            case 4:
                other = rng.randrange(len(lines))
                lines[at], lines[other] = lines[other], line
            case 5 if line:
                place = rng.randrange(len(line))
                lines[at] = line[:place] + chr(rng.randrange(32, 127)) + line[place + 1 :]
            case _:
                lines[at] = _with_one_other(rng, line, ":")
    return "\r\n".join(lines)


def _with_one_other(rng: random.Random, line: str, separator: str) -> str:
    parts = line.split(separator)
    parts[rng.randrange(len(parts))] = rng.choice(NASTY_TEXT)
    return separator.join(parts)


class _Maker:
    """Makes wrong requests; each method makes one of a kind."""

    def __init__(self, rng: random.Random, offer_sdp: str, host: str) -> None:
        self._rng = rng
        self._offer_sdp = offer_sdp
        self._host = host
        self.kinds: Sequence[tuple[str, Callable[[], bytes | Wrong]]] = (
            ("broken SDP", self._broken_sdp),
            ("wrong JSON", self._wrong_json),
            ("wrong envelope", self._wrong_envelope),
            ("wrong headers of /bot", self._wrong_start),
            ("ICE candidates", self._candidates),
            ("content type", self._content_type),
            ("no UTF-8", self._no_utf8),
            ("deep JSON", self._deep_json),
            ("no JSON", self._no_json),
            ("large body", self._large_body),
            ("large head", self._large_head),
            ("method", self._method),
            ("path", self._path),
            ("no HTTP", self._no_http),
            ("half a request", self._half),
            ("WebSocket handshake", self._websocket),
            ("other host or origin", self._stranger),
        )

    def _http(
        self,
        method: str,
        path: str,
        body: bytes = b"",
        *headers: tuple[str, str | bytes],
        content_type: str | None = "application/json",
    ) -> bytes:
        own = {name.lower() for name, _ in headers}
        lines = [f"{method} {path} HTTP/1.1".encode()]
        if "host" not in own:
            lines.append(f"host: {self._host}".encode())
        if "content-length" not in own and "transfer-encoding" not in own:
            lines.append(f"content-length: {len(body)}".encode())
        if content_type is not None:
            lines.append(f"content-type: {content_type}".encode())
        for name, value in headers:
            encoded = value if isinstance(value, bytes) else value.encode("utf-8", "replace")
            lines.append(f"{name}: ".encode() + encoded)
        lines.append(b"connection: close")
        return b"\r\n".join(lines) + b"\r\n\r\n" + body

    def _json(self, method: str, path: str, body: object, *headers: tuple[str, str]) -> bytes:
        return self._http(method, path, json.dumps(body).encode(), *headers)

    def _nasty(self) -> object:
        """A value that is rarely expected."""
        values: tuple[object, ...] = (
            *(None, True, -1, 10**30, 1e308, [], {}, [[]], {"": {}}, "\ud800", [None] * 50),
            {"\ud800": "\udfff"},
            self._rng.choice(NASTY_TEXT),
        )
        return self._rng.choice(values)

    def _broken_sdp(self) -> bytes:
        body = {"sdp": spoilt_sdp(self._rng, self._offer_sdp), "type": "offer"}
        return self._json("POST", "/api/offer", body)

    def _wrong_json(self) -> bytes:
        method, path = self._rng.choice(ROUTES[1:])
        names = (
            *("sdp", "type", "pc_id", "restart_pc", "requestData", "candidates", "message"),
            *("user_name", "preferences", "messages", "run_llm", "\ud800", "x" * 300),
        )
        body: object = {name: self._nasty() for name in self._rng.sample(names, 4)}
        if self._rng.random() < 0.2:
            body = self._nasty()
        return self._json(method, path, body)

    def _wrong_envelope(self) -> bytes:
        versions = ("1", "2", "", "one", "1, 1", "-1", "1" * 400)
        bodies = (
            *({}, [], {"body": 5}, {"body": {}}, {"body": {}, "flow_config": {}}),
            *({"body": {}, "flow_config": " "}, {"flow_config": "x"}, {"body": [], "x": 1}),
        )
        envelope = ("x-pcc-start-envelope", self._rng.choice(versions))
        return self._json("POST", "/bot", self._rng.choice(bodies), envelope)

    def _wrong_start(self) -> bytes:
        names = (
            *("x-daily-session-id", "x-daily-transport-type", "x-daily-room-url"),
            *("x-pcc-max-session-seconds", "x-moq-relay-url", "x-pcc-start-envelope"),
        )
        headers = [
            (name, self._rng.choice(NASTY_TEXT).replace("\0", "?").replace("\x7f", "?"))
            for name in self._rng.sample(names, 2)
        ]
        return self._json("POST", "/bot", {}, *headers)

    def _candidates(self) -> bytes:
        right = "candidate:1 1 udp 2122260223 192.0.2.7 40000 typ host"
        parts = right.split(" ")
        parts[self._rng.randrange(len(parts))] = self._rng.choice(NASTY_TEXT)
        text = self._rng.choice((" ".join(parts), right * 1_000, "a=" + right, "x" * 100_000))
        candidate = {"candidate": text, "sdp_mid": self._nasty(), "sdp_mline_index": self._nasty()}
        count = self._rng.choice((1, 1, 101, 2_000 if len(text) < 300 else 5))
        pc_id = self._rng.choice(("nobody's", self._nasty()))
        return self._json(
            "PATCH", "/api/offer", {"pc_id": pc_id, "candidates": [candidate] * count}
        )

    def _content_type(self) -> bytes:
        method, path = self._rng.choice(ROUTES)
        types = (
            *("text/plain", "application/xml", "multipart/form-data; boundary=x", "x", "", ";;"),
            *("application/json; charset=utf-99", "image/png", "application/x-www-form-urlencoded"),
        )
        bodies = (b'{"message": "hi"}', b"message=hi", b"--x\r\n\r\n--x--", b"<a/>", b"")
        chosen = self._rng.choice(bodies)
        return self._http(method, path, chosen, content_type=self._rng.choice(types))

    def _no_utf8(self) -> bytes:
        method, path = self._rng.choice(ROUTES)
        bodies = (
            b'{"message": "' + ENCODED + b'"}',
            b'{"sdp": "\xff\xfe"}',
            "{}".encode("utf-16"),
            b'\xef\xbb\xbf{"message": "hi"}',
            bytes(self._rng.randrange(256) for _ in range(60)),
        )
        return self._http(method, path, self._rng.choice(bodies))

    def _deep_json(self) -> bytes:
        method, path = self._rng.choice(ROUTES)
        depth = self._rng.choice((200, 5_000, 200_000))
        opening = self._rng.choice((b"[", b'{"a":', b'{"requestData":', b'{"preferences":['))
        body = opening * (min(depth, 900_000 // len(opening)))
        return self._http(method, path, body + self._rng.choice((b"", b"]" * len(body))))[:999_000]

    def _no_json(self) -> bytes:
        method, path = self._rng.choice(ROUTES)
        bodies = (
            b"{",
            b"nul",
            b"NaN",
            b"1" * 20_000,
            b"{'a': 1}",
            b'{"a": 1,}',
            b"\0",
            b'"\\ud800"',
        )
        return self._http(method, path, self._rng.choice(bodies))

    def _large_body(self) -> bytes:
        method, path = self._rng.choice(ROUTES)
        bodies = (
            b'{"message": "' + b"x" * 900_000 + b'"}',
            b'{"preferences": {' + b",".join(b'"%d":1' % n for n in range(60_000)) + b"}}",
            b'{"messages": [' + b",".join([b"{}"] * 200_000) + b"]}",
            b"x" * 1_000_001,
        )
        lengths: tuple[str | None, ...] = (None, None, "99999999", "9" * 5_000, "-1", "1e3", "1, 2")
        length = self._rng.choice(lengths)
        if length is None:
            return self._http(method, path, self._rng.choice(bodies))
        return self._http(method, path, b"{}", ("content-length", length))

    def _large_head(self) -> bytes:
        method, path = self._rng.choice(ROUTES)
        kind = self._rng.randrange(4)
        if kind == 0:
            return self._http(
                method, path, b"{}", ("x-large", "y" * self._rng.choice((9_000, 10**6)))
            )
        if kind == 1:
            many = [(f"x-{n}", "y") for n in range(self._rng.choice((500, 20_000)))]
            return self._http(method, path, b"{}", *many)
        if kind == 2:
            return self._http(method, path + "?q=" + "z" * self._rng.choice((9_000, 10**6)), b"{}")
        return self._http(method, path, b"{}", ("x-bytes", bytes(range(128, 256))))

    def _method(self) -> bytes:
        methods = (
            *("GET", "PUT", "DELETE", "OPTIONS", "TRACE", "HEAD", "CONNECT", "PROPFIND", "PATCH"),
            *("POST", "get", "M" * 200, "BREW"),
        )
        return self._http(self._rng.choice(methods), self._rng.choice(PATHS), b"")

    def _path(self) -> bytes:
        paths = (
            *("/nothing", "/bot/", "//bot", "/%00", "/client/%00", "/client/../bot.py", "*"),
            *("/client/%2e%2e/bot.py", "/client/" + "a" * 5_000, "/%ff%fe", "/api/offer/x", "?"),
            *("http://elsewhere.example/bot", "/client/%5c..%5cbot.py", "/status?" + "&=" * 500),
        )
        return self._http(self._rng.choice(("GET", "POST")), self._rng.choice(paths), b"{}")

    def _no_http(self) -> bytes:
        texts = (
            b"hello\r\n\r\n",
            b"GET\r\n\r\n",
            b"GET / HTTP/9.9\r\n\r\n",
            b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + bytes(100),
            b"GET / HTTP/1.1\r\nhost : a\r\n\r\n",
            b"GET / HTTP/1.1\r\n\r\n",
            b"GET /\xff HTTP/1.1\r\nhost: a\r\n\r\n",
            b"POST /bot HTTP/1.1\r\nhost: a\r\nhost: b\r\n\r\n",
            b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
            b"POST /speak HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\n\r\nzz\r\n\r\n",
            bytes(self._rng.randrange(256) for _ in range(200)) + b"\r\n\r\n",
        )
        return self._rng.choice(texts)

    def _half(self) -> Wrong:
        whole = self._http("POST", "/speak", b'{"message": "' + b"x" * 500 + b'"}')
        return Wrong("half a request", whole[: self._rng.randrange(1, len(whole))], half=True)

    def _websocket(self) -> bytes:
        key = base64.b64encode(self._rng.randbytes(16)).decode()
        headers = {
            "upgrade": "websocket",
            "sec-websocket-key": key,
            "sec-websocket-version": "13",
        }
        match self._rng.randrange(4):
            case 0:
                del headers[self._rng.choice(list(headers))]
            case 1:
                headers[self._rng.choice(list(headers))] = "nonsense"
            case 2:
                headers["origin"] = "https://elsewhere.example"
            case _:
                headers["sec-websocket-extensions"] = "nonsense; x=" + "y" * 3_000
        path = self._rng.choice(("/ws?body=*", "/ws?body=" + "A" * 7, "/nothing", "/bot"))
        lines = [f"GET {path} HTTP/1.1", f"host: {self._host}", "connection: upgrade"]
        lines += [f"{name}: {value}" for name, value in headers.items()]
        return "\r\n".join([*lines, "", ""]).encode()

    def _stranger(self) -> bytes:
        method, path = self._rng.choice(ROUTES)
        header = self._rng.choice(
            (
                ("host", "rebound.example"),
                ("host", "localhost.rebound.example:8080"),
                ("host", "[::1"),
                ("host", "a@localhost"),
                ("origin", "https://elsewhere.example"),
                ("origin", "null"),
                ("origin", "http://127.0.0.1:1"),
                ("sec-fetch-site", "cross-site"),
                ("sec-fetch-site", "same-site"),
            )
        )
        return self._http(method, path, b'{"message": "hi"}', header)
