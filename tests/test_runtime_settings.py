"""What the environment says to the control plane, and what it is told when that cannot be used."""

import base64
import os
from pathlib import Path

import pytest

from runtime.settings import BUNDLE, Registered, Settings, run_folder

SECRET = "whsec_" + base64.b64encode(bytes(range(24))).decode()
HOOK = {
    "RUNTIME_WEBHOOK_URL": "https://example.org/hook",
    "RUNTIME_WEBHOOK_HOSTS": "example.org",
    "RUNTIME_WEBHOOK_SECRET": SECRET,
}


def test_an_empty_environment_gives_the_defaults() -> None:
    settings = Settings.from_environment({"RUNTIME_HOST": "  ", "RUNTIME_PORT": ""})
    assert (settings.host, settings.port) == ("127.0.0.1", 7860)
    assert settings.data == Path.cwd() / ".mouthpiece"
    assert settings.agents == {"mouthpiece": Registered(BUNDLE, deploy=True)}
    assert settings.webhook is None
    assert settings.allowed_origins == settings.allowed_hosts == ()


def test_every_variable_is_read(tmp_path: Path) -> None:
    settings = Settings.from_environment(
        HOOK
        | {
            "RUNTIME_HOST": "0.0.0.0",
            "RUNTIME_PORT": "0",
            "RUNTIME_DATA": str(tmp_path / "data"),
            "RUNTIME_ORGANIZATION": "acme",
            "RUNTIME_REGION": "eu-1",
            "RUNTIME_PUBLIC_URL": "https://example.org/agents/",
            "RUNTIME_ALLOWED_HOSTS": "example.org, other.example.org,",
            "RUNTIME_ALLOWED_ORIGINS": "https://example.org/, http://localhost:8000",
            "RUNTIME_RATE_PER_S": "20",
            "RUNTIME_LOG_LEVEL": "debug",
            "DAILY_API_KEY": "d",
            "DAILY_API_URL": "http://127.0.0.1:1/v1/",
            "ICE_SERVERS": '[{"urls": ["stun:example.org"]}]',
        }
    )
    assert (settings.host, settings.port, settings.data) == ("0.0.0.0", 0, tmp_path / "data")
    assert (settings.organization, settings.region) == ("acme", "eu-1")
    assert settings.public_url == "https://example.org/agents"
    assert settings.allowed_hosts == ("example.org", "other.example.org")
    assert settings.allowed_origins == ("https://example.org", "http://localhost:8000")
    assert (settings.rate_per_s, settings.log_level) == (20.0, "DEBUG")
    assert (settings.daily_api_key, settings.daily_api_url) == ("d", "http://127.0.0.1:1/v1")
    assert settings.ice_servers == ({"urls": ["stun:example.org"]},)
    assert settings.webhook is not None
    assert settings.webhook.secret == bytes(range(24))


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("RUNTIME_PORT", "65536"),
        ("RUNTIME_PORT", "-1"),
        ("RUNTIME_PORT", "²"),
        ("RUNTIME_ORGANIZATION", "Acme"),
        ("RUNTIME_ORGANIZATION", "a" * 55),
        ("RUNTIME_REGION", "-eu"),
        ("RUNTIME_PUBLIC_URL", "example.org"),
        ("RUNTIME_PUBLIC_URL", "http://[::1"),
        ("DAILY_API_URL", "ftp://example.org"),
        ("RUNTIME_ALLOWED_ORIGINS", "https://example.org/page"),
        ("RUNTIME_ALLOWED_ORIGINS", "example.org"),
        ("ICE_SERVERS", "{}"),
        ("ICE_SERVERS", '[{"urls": "stun:example.org"}]'),
        ("ICE_SERVERS", "not json"),
        ("RUNTIME_RATE_PER_S", "0"),
        ("RUNTIME_RATE_PER_S", "nan"),
        ("RUNTIME_RATE_PER_S", "inf"),
        ("RUNTIME_LOG_LEVEL", "loud"),
    ],
)
def test_a_value_that_cannot_be_used_is_named(name: str, value: str) -> None:
    with pytest.raises(ValueError, match=name):
        Settings.from_environment({name: value})


@pytest.mark.parametrize(
    ("name", "value", "named"),
    [
        ("RUNTIME_WEBHOOK_HOSTS", "", "RUNTIME_WEBHOOK_HOSTS"),
        ("RUNTIME_WEBHOOK_HOSTS", "ample.org", "RUNTIME_WEBHOOK_HOSTS"),
        ("RUNTIME_WEBHOOK_SECRET", "", "RUNTIME_WEBHOOK_SECRET"),
        ("RUNTIME_WEBHOOK_SECRET", "whsec_c2hvcnQ=", "RUNTIME_WEBHOOK_SECRET"),
        ("RUNTIME_WEBHOOK_SECRET", "whsec_*", "RUNTIME_WEBHOOK_SECRET"),
        ("RUNTIME_WEBHOOK_SECRET", "whsec_schlüssel" + "A" * 40, "RUNTIME_WEBHOOK_SECRET"),
        ("RUNTIME_WEBHOOK_URL", "file:///etc/passwd", "RUNTIME_WEBHOOK_URL"),
    ],
)
def test_a_webhook_needs_an_allowed_host_and_a_real_secret(
    name: str, value: str, named: str
) -> None:
    with pytest.raises(ValueError, match=named) as error:
        Settings.from_environment(HOOK | {name: value})
    assert SECRET not in str(error.value)


def test_what_is_secret_is_not_shown() -> None:
    given = {"DAILY_API_KEY": "hush", "ICE_SERVERS": '[{"urls": [], "credential": "hush"}]'}
    settings = Settings.from_environment(HOOK | given)
    shown = repr(settings)
    assert "hush" not in shown
    assert repr(bytes(range(24))) not in shown


def _agents(tmp_path: Path, text: str) -> dict[str, Registered]:
    file = tmp_path / "agents.toml"
    file.write_text(text)
    return dict(Settings.from_environment({"RUNTIME_AGENTS": str(file)}).agents)


def test_agents_are_found_beside_their_file(tmp_path: Path) -> None:
    (tmp_path / "one").mkdir()
    (tmp_path / "one" / "bot.py").touch()
    agents = _agents(tmp_path, '[agents.one]\nfolder = "one"\ndeploy = true\n')
    assert agents == {"one": Registered(tmp_path / "one", deploy=True)}
    assert _agents(tmp_path, "[agents]\n") == {}


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "has no \\[agents"),
        ("agents = 3\n", "agents"),
        ("[agents.one\n", "cannot be used"),
        ('[agents."Upper"]\nfolder = "."\n', "no name"),
        ('[agents.one]\nfolder = "nowhere"\n', "there is no"),
        ("[agents.one]\ndeploy = true\n", "needs folder"),
        ('[agents.one]\nfolder = "."\ndeploy = "yes"\n', "true or false"),
        ('[agents.one]\nfolder = "."\nlimit = 3\n', "knows no limit"),
        ("# " + "x" * 100_001, "larger than"),
    ],
)
def test_a_wrong_list_of_agents_is_told(tmp_path: Path, text: str, said: str) -> None:
    with pytest.raises(ValueError, match=said) as error:
        _agents(tmp_path, text)
    assert str(error.value).startswith("RUNTIME_AGENTS: ")


def test_a_list_of_agents_that_is_not_there_is_told(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="RUNTIME_AGENTS"):
        Settings.from_environment({"RUNTIME_AGENTS": str(tmp_path / "none.toml")})


def test_the_folder_of_sockets_is_private_and_one_for_each_data_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    first, again = run_folder(tmp_path / "a"), run_folder(tmp_path / "a")
    assert first == again != run_folder(tmp_path / "b")
    assert first.stat().st_mode & 0o777 == 0o700


def test_somebody_elses_folder_of_sockets_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    folder = run_folder(tmp_path / "a")
    folder.chmod(0o755)
    with pytest.raises(ValueError, match="not this user's own"):
        run_folder(tmp_path / "a")

    folder.rmdir()
    (tmp_path / "elsewhere").mkdir(mode=0o700)
    folder.symlink_to(tmp_path / "elsewhere")
    with pytest.raises(ValueError, match="not this user's own"):
        run_folder(tmp_path / "a")
    assert os.listdir(tmp_path / "elsewhere") == []
