"""Settings: read once, checked, and told about in words."""

import pytest

from pipecatcloud_system.settings import IceServer, Settings


def test_defaults() -> None:
    settings = Settings.from_environment({"PORT": "", "HOST": " "})
    assert settings == Settings()
    assert (settings.host, settings.port, settings.shutdown_timeout_s) == ("127.0.0.1", 8080, 7200)
    assert settings.ice_servers == ()
    assert settings.allowed_origins == ()


def test_all_given() -> None:
    settings = Settings.from_environment(
        {
            "HOST": "0.0.0.0",
            "PORT": "0",
            "SHUTDOWN_TIMEOUT": "2.5",
            "OFFER_TIMEOUT": "30",
            "ICE_SERVERS": '[{"urls": "stun:192.0.2.1"}, '
            '{"urls": ["turn:192.0.2.1"], "username": "u", "credential": "c-secret"}]',
            "PIPECAT_ALLOWED_ORIGINS": "https://a.example, http://localhost:5173/",
            "PIPECAT_LOG_LEVEL": "debug",
        }
    )
    assert settings == Settings(
        host="0.0.0.0",
        port=0,
        shutdown_timeout_s=2.5,
        offer_timeout_s=30.0,
        ice_servers=(
            IceServer(("stun:192.0.2.1",)),
            IceServer(("turn:192.0.2.1",), "u", "c-secret"),
        ),
        allowed_origins=("https://a.example", "http://localhost:5173"),
        log_level="DEBUG",
    )
    assert "c-secret" not in repr(settings)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("PORT", "65536"),
        ("PORT", "-1"),
        ("PORT", "8e3"),
        ("SHUTDOWN_TIMEOUT", "soon"),
        ("SHUTDOWN_TIMEOUT", "-1"),
        ("SHUTDOWN_TIMEOUT", "inf"),
        ("SHUTDOWN_TIMEOUT", "nan"),
        ("OFFER_TIMEOUT", "x"),
        ("ICE_SERVERS", "stun:192.0.2.1"),
        ("ICE_SERVERS", "{}"),
        ("ICE_SERVERS", "[5]"),
        ("ICE_SERVERS", "[{}]"),
        ("ICE_SERVERS", '[{"urls": "http://x"}]'),
        ("ICE_SERVERS", '[{"urls": "turn:x", "credential": 5}]'),
        ("PIPECAT_ALLOWED_ORIGINS", "example.org"),
        ("PIPECAT_ALLOWED_ORIGINS", "https://example.org/path"),
        ("PIPECAT_LOG_LEVEL", "LOUD"),
    ],
)
def test_a_value_that_cannot_be_used_is_named(name: str, value: str) -> None:
    with pytest.raises(ValueError, match=name):
        Settings.from_environment({name: value})
