"""Settings: read once, checked, and told about in words."""

from pathlib import Path

import pytest

from pipecatcloud_system.ice import IceServer
from pipecatcloud_system.settings import Settings, WhatsAppKeys


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
            "MAX_SESSION_SECONDS": "0.5",
            "OFFER_TIMEOUT": "30",
            "ICE_SERVERS": '[{"urls": "stun:192.0.2.1"}, '
            '{"urls": ["turn:192.0.2.1"], "username": "u", "credential": "c-secret"}]',
            "PIPECAT_ALLOWED_HOSTS": "Agent.example, [2001:db8::1]",
            "PIPECAT_ALLOWED_ORIGINS": "https://a.example, http://localhost:5173/",
            "ICE_CONFIG_URL": "http://127.0.0.1:9090/ice-servers?token=u-secret",
            "PCC_SESSION_FILES_DIR": "/files",
            "WHATSAPP_TOKEN": "t-secret",
            "WHATSAPP_PHONE_NUMBER_ID": "1234",
            "WHATSAPP_APP_SECRET": "a-secret",
            "WHATSAPP_WEBHOOK_VERIFICATION_TOKEN": "v-secret",
            "PIPECAT_EVENT_PUBLISHER_ENDPOINT": "https://events.example/events",
            "PIPECAT_SETUP_FILES": f"{__file__}:{__file__}",
            "IMAGE_VERSION": "7.7",
            "PIPECAT_LOG_LEVEL": "debug",
            "PCC_LOG_DIR": "/logs",
            "PCC_LOG_FEATURES_SUMMARY": "True",
        }
    )
    assert settings == Settings(
        host="0.0.0.0",
        port=0,
        shutdown_timeout_s=2.5,
        max_session_s=0.5,
        offer_timeout_s=30.0,
        ice_servers=(
            IceServer(("stun:192.0.2.1",)),
            IceServer(("turn:192.0.2.1",), "u", "c-secret"),
        ),
        allowed_hosts=("agent.example", "2001:db8::1"),
        allowed_origins=("https://a.example", "http://localhost:5173"),
        ice_config_url="http://127.0.0.1:9090/ice-servers?token=u-secret",
        session_files_dir=Path("/files"),
        whatsapp=WhatsAppKeys("t-secret", "1234", "a-secret", "v-secret"),
        event_endpoint="https://events.example/events",
        setup_files=(Path(__file__), Path(__file__)),
        image_version="7.7",
        log_level="DEBUG",
        log_dir=Path("/logs"),
        log_features=True,
    )
    assert "secret" not in repr(settings)


def test_whatsapp_needs_all_of_its_keys() -> None:
    keys = {"WHATSAPP_TOKEN": "t", "WHATSAPP_PHONE_NUMBER_ID": "1", "WHATSAPP_APP_SECRET": "s"}
    assert Settings.from_environment(keys).whatsapp == WhatsAppKeys("t", "1", "s")
    for lacking in keys:
        assert Settings.from_environment(keys | {lacking: " "}).whatsapp is None


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
        ("MAX_SESSION_SECONDS", "0"),
        ("MAX_SESSION_SECONDS", "-1"),
        ("MAX_SESSION_SECONDS", "inf"),
        ("ICE_CONFIG_URL", "localhost:9090"),
        ("ICE_CONFIG_URL", "file:///etc/passwd"),
        ("ICE_CONFIG_URL", "http://"),
        ("ICE_CONFIG_URL", "http://[x"),
        ("PIPECAT_EVENT_PUBLISHER_ENDPOINT", "http://x:99999"),
        ("PIPECAT_SETUP_FILES", "/there/is/none.py"),
        ("WHATSAPP_PHONE_NUMBER_ID", "../me"),
        ("ICE_SERVERS", "stun:192.0.2.1"),
        ("ICE_SERVERS", "{}"),
        ("ICE_SERVERS", "[5]"),
        ("ICE_SERVERS", "[{}]"),
        ("ICE_SERVERS", '[{"urls": "http://x"}]'),
        ("ICE_SERVERS", '[{"urls": "turn:x", "credential": 5}]'),
        ("PIPECAT_ALLOWED_HOSTS", "https://agent.example"),
        ("PIPECAT_ALLOWED_HOSTS", "agent.example:8080"),
        ("PIPECAT_ALLOWED_ORIGINS", "example.org"),
        ("PIPECAT_ALLOWED_ORIGINS", "https://example.org/path"),
        ("PIPECAT_LOG_LEVEL", "LOUD"),
    ],
)
def test_a_value_that_cannot_be_used_is_named(name: str, value: str) -> None:
    with pytest.raises(ValueError, match=name):
        Settings.from_environment(
            {"WHATSAPP_TOKEN": "t", "WHATSAPP_APP_SECRET": "s"} | {name: value}
        )
