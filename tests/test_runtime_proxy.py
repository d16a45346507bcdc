"""What the proxy lets through: paths, headers and redirects, hostile ones first of all."""

import itertools
import posixpath
import random
from urllib.parse import quote, unquote, urlsplit

import pytest

from runtime.errors import Refused
from runtime.proxy import (
    HOP_BY_HOP,
    MAX_PATH_BYTES,
    NOT_FORWARDED,
    NOT_RETURNED,
    RESERVED,
    SANDBOX,
    checked_path,
    request_headers,
    response_headers,
    rewritten,
    session_prefix,
)

PREFIX = "/v1/public/agent/sessions/0"

# --- paths ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "path",
    [
        *("", "a", "a/b", "a/b/", "a%20b", "%C3%A4", "ä", "a.b/..c/d..", "...", "a;b=c", "a:b@c"),
        *("api/offer", "api", "botany", "bot.txt", "a/bot"),
        *("a%3Fb", "a%23b", "%25", "100%", "%zz", "readyzz", "~user", "a/%25"),
    ],
)
def test_paths_of_an_agent_go_on_as_they_came(path: str) -> None:
    assert checked_path(path) == path


@pytest.mark.parametrize(
    "path",
    [
        *("..", ".", "a/..", "a/../b", "./a", "a/.", "a/./b"),
        *(
            "%2e%2e/a",
            "%2E%2e",
            "a/%2e%2E/b",
            "%2e",
            "a/%2e/b",
            ".%2e/a",
            "%252e%252e/a",
            "a/%252e",
        ),
        *("//", "/a", "a//b", "//example.org/a", "/", "a/b//"),
        *("a%2fb", "a%2Fb", "%2f", "..%2fbot", "bot%2f", "a%2f..%2fb"),
        *("a\\b", "a%5cb", "..\\bot", "..%5Cbot"),
        *("a%00", "a%0ab", "a%0d%0aset-cookie:%20x", "a%7f", "a\tb", "a%1f"),
        "%2e%2e%5cbot",
    ],
)
def test_paths_that_mean_more_than_they_show_are_refused(path: str) -> None:
    with pytest.raises(Refused) as refused:
        checked_path(path)
    assert refused.value.status == 400


def test_a_path_has_its_length() -> None:
    assert checked_path("a" * MAX_PATH_BYTES)
    with pytest.raises(Refused, match="longer"):
        checked_path("a" * (MAX_PATH_BYTES + 1))


@pytest.mark.parametrize("first", sorted(RESERVED))
@pytest.mark.parametrize("rest", ["", "/", "/a", "/capabilities"])
def test_the_pods_own_paths_are_refused_however_they_are_written(first: str, rest: str) -> None:
    every_sign = "".join(f"%{ord(sign):02x}" for sign in first)
    for written in (first, first.upper(), first.title(), every_sign, every_sign.upper()):
        with pytest.raises(Refused) as refused:
            checked_path(written + rest)
        assert refused.value.status == 403


def test_whatever_goes_on_leads_nowhere_else() -> None:
    """Paths put together from pieces that have been trouble elsewhere."""
    pieces = (
        "a",
        ".",
        "..",
        "/",
        "%2e",
        "%2f",
        "%5c",
        "\\",
        "bot",
        "%62ot",
        "%25",
        "2e",
        ";",
        "%00",
    )
    random_ = random.Random(7)
    many = [random_.choices(pieces, k=random_.randint(1, 7)) for _ in range(20_000)]
    passed = 0
    for chosen in [*many, *itertools.product(pieces, repeat=3)]:
        path = "".join(chosen)
        try:
            assert checked_path(path) == path
        except Refused as refused:
            assert refused.status in (400, 403)
            continue
        passed += 1
        for read in (path, unquote(path), unquote(unquote(path))):
            # Where it would lead if whoever reads it next cleaned it up.
            cleaned = posixpath.normpath(f"{PREFIX}/{read}".replace("\\", "/"))
            assert cleaned == PREFIX or cleaned.startswith(f"{PREFIX}/")
        assert unquote(path).split("/")[0].lower() not in RESERVED
    assert passed > 500


# --- headers -------------------------------------------------------------------------------------


def _sent(*headers: tuple[str, str]) -> dict[str, str]:
    kept = request_headers((name.encode(), value.encode("latin-1")) for name, value in headers)
    return {name.lower(): value for name, value in kept.items()}


def test_a_pod_never_learns_the_key_nor_our_cookies() -> None:
    kept = _sent(
        ("authorization", "Bearer pk_hush"),
        ("cookie", "mouthpiece_dashboard=hush"),
        ("proxy-authorization", "Basic hush"),
        ("x-own", "yes"),
        ("accept", "*/*"),
    )
    assert kept == {"host": "localhost", "x-own": "yes", "accept": "*/*"}


@pytest.mark.parametrize("name", sorted(NOT_FORWARDED - {"host"}))
def test_what_concerns_one_hop_or_is_ours_to_say_is_not_forwarded(name: str) -> None:
    assert name not in _sent((name, "x"))


def test_the_host_is_not_the_clients_to_name() -> None:
    assert _sent(("host", "example.org"))["host"] == "localhost"


def test_headers_that_connection_names_are_for_one_hop() -> None:
    kept = _sent(("connection", "close, X-Once"), ("x-once", "a"), ("x-own", "b"))
    assert kept == {"host": "localhost", "x-own": "b"}


def test_headers_that_come_twice_go_on_twice() -> None:
    kept = request_headers([(b"x-own", b"a"), (b"x-own", b"b"), (b"x-other", b"\xe4")])
    assert kept.getall("x-own") == ["a", "b"]
    assert kept["x-other"] == "ä"


def _returned(*headers: tuple[str, str]) -> list[tuple[str, str]]:
    kept = response_headers(headers, PREFIX)
    return [(name.decode(), value.decode("latin-1")) for name, value in kept]


ALWAYS = [("content-security-policy", SANDBOX.decode()), ("x-content-type-options", "nosniff")]


@pytest.mark.parametrize(
    "name",
    [*sorted(NOT_RETURNED), "Set-Cookie", "SET-COOKIE", "Access-Control-Allow-Origin"],
)
def test_what_would_reach_beyond_the_session_is_not_returned(name: str) -> None:
    assert _returned((name, "x"), ("x-own", "yes")) == [("x-own", "yes"), *ALWAYS]


def test_every_page_of_an_agent_is_in_the_sandbox() -> None:
    policy = dict(_returned(("Content-Security-Policy", "default-src *")))[
        "content-security-policy"
    ]
    assert policy.startswith("sandbox ")
    assert "allow-same-origin" not in policy
    assert "frame-ancestors 'none'" in policy


def test_headers_that_the_pods_connection_names_are_for_one_hop() -> None:
    assert _returned(("Connection", "keep-alive, X-Once"), ("X-Once", "a")) == ALWAYS


def test_no_header_breaks_the_answer() -> None:
    assert ("x-own", "?") in _returned(("X-Own", "☃"))
    assert HOP_BY_HOP <= NOT_RETURNED & NOT_FORWARDED


# --- redirects -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("location", "leads"),
    [
        ("/a", f"{PREFIX}/a"),
        ("/", f"{PREFIX}/"),
        ("/a?b=c#d", f"{PREFIX}/a?b=c#d"),
        ("/a%2e%2e/b", f"{PREFIX}/a%2e%2e/b"),
        ("http://localhost/a", f"{PREFIX}/a"),
        ("http://localhost", f"{PREFIX}/"),
        ("http://localhost?b=c", f"{PREFIX}/?b=c"),
        ("http://LOCALHOST:80/a", f"{PREFIX}/a"),
        ("https://127.0.0.1/a", f"{PREFIX}/a"),
        ("//localhost/a", f"{PREFIX}/a"),
        ("a", "a"),
        ("../a", "../a"),
        ("?b=c", "?b=c"),
        ("", ""),
        ("https://example.org/a?b", "https://example.org/a?b"),
        ("//example.org/a", "//example.org/a"),
        ("http://localhost@example.org/", "http://localhost@example.org/"),
        ("http://localhost.example.org/", "http://localhost.example.org/"),
        ("mailto:a@example.org", "mailto:a@example.org"),
        ("http://[::1", f"{PREFIX}/"),
    ],
)
def test_a_redirect_leads_where_its_client_has_to_ask(location: str, leads: str) -> None:
    assert rewritten(location, PREFIX) == leads
    assert dict(_returned(("Location", location)))["location"] == leads


def test_every_path_of_the_pod_is_found_again_under_its_session() -> None:
    random_ = random.Random(11)
    signs = "abcXYZ019-._~!$&'()*+,;=:@%2f/"
    for _ in range(5_000):
        path = "/" + quote("".join(random_.choices(signs, k=random_.randint(0, 12))).lstrip("/"))
        query = random_.choice(["", "?a=b", "?a=/b?c", "?a=http://localhost/x"])
        host = random_.choice(["", "http://localhost", "http://127.0.0.1:8080"])
        leads = rewritten(f"{host}{path}{query}", PREFIX)
        assert leads == f"{PREFIX}{path}{query}"
        assert urlsplit(leads).netloc == ""


def test_a_prefix_holds_no_sign_with_a_meaning() -> None:
    assert session_prefix("agent", "0") == PREFIX
    assert session_prefix("a?b", "c#d ") == "/v1/public/a%3Fb/sessions/c%23d%20"
