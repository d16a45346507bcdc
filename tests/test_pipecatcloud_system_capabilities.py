"""GET /pcc/capabilities: what the pod rules out, and what bot.py declares."""

import json
from pathlib import Path
from typing import Any

import pytest
from pod_process import BOTS, pod_process, request
from test_pipecatcloud_system_server import run_pod

from pipecatcloud_system.capabilities import (
    BadCapabilities,
    capabilities_document,
    own_capabilities,
)
from pipecatcloud_system.settings import Settings

YES = {"available": True}


def capabilities(declared: Any, own: dict[str, Any] | None = None) -> Any:
    document = capabilities_document(own or {}, declared)
    return None if document is None else json.loads(document)


def test_the_bots_entries_go_before_the_pods() -> None:
    own = {"transport.daily": YES, "transport.webrtc": YES}
    no_daily = {"transport.daily": {"available": False, "reason": "no camera"}}
    expected = {"version": 1, "capabilities": own | no_daily}
    assert capabilities(no_daily, own) == expected
    assert capabilities(lambda: no_daily, own) == expected
    assert capabilities({}, own)["capabilities"] == own
    assert capabilities(None, own) is None
    assert capabilities(lambda: None, own) is None


def test_whatsapp_needs_its_keys() -> None:
    own = own_capabilities(Settings(), {"WHATSAPP_TOKEN": "t"})
    assert own["whatsapp"] == {
        "available": False,
        "reason": "not set: WHATSAPP_PHONE_NUMBER_ID, WHATSAPP_APP_SECRET",
    }
    assert own["transport.webrtc"] == YES
    assert capabilities({}, own)


@pytest.mark.parametrize(
    ("declared", "complaint"),
    [
        ([], "not a dict"),
        ({"Transport": YES}, "lower-case"),
        ({"a..b": YES}, "lower-case"),
        ({"a" * 64: YES}, "63 characters"),
        ({"a\n": YES}, "lower-case"),
        ({5: YES}, "lower-case"),
        ({"a": True}, "must be a dict"),
        ({"a": {"available": 1}}, "True or False"),
        ({"a": {}}, "True or False"),
        ({"a": YES | {"more": "x"}}, "must be a dict of available"),
        ({"a": YES | {"value": "x" * 257}}, "256 characters"),
        ({"a": YES | {"reason": "[red]"}}, "square brackets"),
        ({"a": YES | {"reason": "two\nlines"}}, "one line"),
        ({f"a{n}": YES for n in range(65)}, "more than 64"),
        ({f"a{n}": YES | {"value": "x" * 250} for n in range(64)}, "larger than 16,384 bytes"),
    ],
)
def test_what_readers_would_not_take_is_named(declared: Any, complaint: str) -> None:
    with pytest.raises(BadCapabilities, match=complaint):
        capabilities(declared)


async def test_a_pod_reports_them(tmp_path: Path) -> None:
    with pod_process(tmp_path, "minimal", PCC_LOG_FEATURES_SUMMARY="true") as pod:
        status, document = await request("GET", f"{pod.url}/pcc/capabilities")
        assert (status, document["version"]) == (200, 1)
        assert document["capabilities"]["transport.webrtc"] == YES
        assert document["capabilities"]["whatsapp"]["available"] is False
        assert "Feature transport.webrtc: available" in pod.log.read_text()


async def test_a_bot_may_report_none(tmp_path: Path) -> None:
    declared = tmp_path / "declared"
    declared.mkdir()
    minimal = (BOTS / "minimal.py").read_text()
    (declared / "bot.py").write_text(f"{minimal}\ncapabilities = {{'Bad name': 1}}\n")
    ended = run_pod(declared, PORT="0")
    assert ended.returncode == 1
    assert "bot.py's capabilities cannot be served: the name 'Bad name'" in ended.stderr
    assert "Traceback" not in ended.stderr
    with pod_process(tmp_path, "silent") as pod:
        assert (await request("GET", f"{pod.url}/pcc/capabilities"))[0] == 404
