"""Pipecat Cloud's command lines and SDK, as they are published, against the control plane.

Two generations of them: `pcc` 0.6, which exits with 0 after most refusals, and `pipecat cloud`.
"""

import asyncio
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from aiortc import RTCConfiguration, RTCPeerConnection
from cli_environments import NEW, OLD, CommandLine, environment
from control_plane import ORGANIZATION, RunningPlane, running_plane, stub_agent, wait_until

STUB = '''"""Tells its secret; its sessions last until they are stopped."""

import asyncio
import os
from typing import Any

from loguru import logger

from pipecatcloud_system import app


@app.get("/secret")
async def secret() -> str:
    return os.environ.get("STUB_SECRET", "")


async def bot(args: Any) -> None:
    logger.info("greets {}", args.body["name"])
    await asyncio.Event().wait()
'''
DEPLOY = """
agent_name = "later"
image = "local:later"
secret_set = "SET"
agent_profile = "agent-2x"
max_session_duration = 900
websocket_auth = "token"

[scaling]
min_agents = 0
max_agents = 2

[krisp_viva]
audio_filter = "tel"
"""
SDK = """
import asyncio, json, sys
from pipecatcloud.exception import AgentStartError
from pipecatcloud.session import Session, SessionParams

async def started(agent, key):
    try:
        return await Session(agent, key, SessionParams(data={"name": "Ada"})).start()
    except AgentStartError as error:
        return {"code": error.error_code, "error": str(error)}

async def main(key):
    wanted = [("greeter", key), ("greeter", key), ("nobody", key), ("greeter", "pk_wrong")]
    print(json.dumps([await started(*each) for each in wanted]))

asyncio.run(main(*sys.argv[1:]))
"""


@pytest.fixture(scope="module")
def plane(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningPlane]:
    """A control plane with an agent of one pod; one is not deployed, one is broken."""
    folder = tmp_path_factory.mktemp("plane")
    stub = stub_agent(folder / "stub", STUB)
    stub_agent(folder / "broken", 'raise RuntimeError("no such model")')
    registered = folder / "registered.toml"
    registered.write_text(
        '[agents.greeter]\nfolder = "stub"\ndeploy = true\n'
        '[agents.later]\nfolder = "stub"\n'
        '[agents.broken]\nfolder = "broken"\n'
    )
    with running_plane(folder, {"greeter": stub}, RUNTIME_AGENTS=str(registered)) as running:
        running.deploy("greeter", autoScaling={"minAgents": 1, "maxAgents": 1})
        yield running


@pytest.fixture(scope="module", params=[OLD, NEW], ids=lambda client: client.name)
def cli(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> CommandLine:
    """One of the clients."""
    programs = environment(request.param)
    home = tmp_path_factory.mktemp("home")
    return CommandLine(request.param, programs, request.getfixturevalue("plane"), home)


def of(plane: RunningPlane, path: str) -> Any:
    """What the control plane says of the organization."""
    answer = plane.ask("GET", f"{ORGANIZATION}/{path}")
    assert answer.status == 200, answer.content
    return answer.json


def test_the_account(cli: CommandLine) -> None:
    who, organizations, properties, schema, changed, regions = cli.run_all(
        ("auth", "whoami"),
        ("organizations", "list"),
        ("organizations", "properties", "list"),
        ("organizations", "properties", "schema"),
        ("organizations", "properties", "set", "defaultRegion", "local"),
        ("regions", "list"),
    )
    assert "404" not in who.good("operator@local.invalid").out
    organizations.good("local")
    properties.good("defaultRegion", "local")
    schema.good("defaultRegion", "string")
    changed.good("defaultRegion set to local")
    regions.good("local", "This machine")
    if cli.client.json:
        assert who.json["organization"] == {"name": "local", "verbose_name": "local"}
        assert not who.json["dailyApiKey"]
        assert [each["name"] for each in organizations.json["organizations"]] == ["local"]
        assert properties.json == {"defaultRegion": "local"}
        assert schema.json["defaultRegion"]["availableValues"] == ["local"]
        assert [each["code"] for each in regions.json["regions"]] == ["local"]
        cli.run("agent", "profiles", "list").good("agent-1x", "500m", "1Gi")


def test_keys_are_made_listed_and_revoked(cli: CommandLine, plane: RunningPlane) -> None:
    name = f"visitors-{cli.client.name}"
    cli.run("organizations", "keys", "create", "--name", name, "--default").good(name)
    key = tomllib.loads(cli.config.read_text())["local"]["default_public_key"]
    assert plane.ask("POST", "/v1/public/nobody/start", {}, key).status == 404
    live = [k for k in of(plane, "apiKeys")["public"] if not k["revoked"]]
    names = [k["metadata"]["name"] for k in live]
    down = "\x1b[B" * names.index(name)
    prompt = "Select API key to revoke"
    revoked = cli.at_terminal(*("organizations", "keys", "revoke"), prompt=prompt, keys=f"{down}\r")
    revoked.good(live[names.index(name)]["id"], "revoked")
    listed, started = cli.run_all(
        ("organizations", "keys", "list"),
        ("agent", "start", "greeter", "--force", "--api-key", key),
    )
    assert key not in listed.good(name, "first", key[:7]).out
    if cli.client.json:
        revoked = {k["metadata"]["name"]: k["revoked"] for k in listed.json["public"]}
        assert revoked[name] and not revoked["first"]
    else:
        listed.shows("Revoked", "Active")
    cli.refused(started, "Unauthorized")


def test_secrets_are_set_listed_and_deleted(cli: CommandLine, plane: RunningPlane) -> None:
    name, pull = f"keys-{cli.client.name}", f"pull-{cli.client.name}"
    image = ("secrets", "image-pull-secret", pull, "https://images.example.org", "me:word")
    created, credentials = cli.run_all(
        ("secrets", "set", name, "ONE=1", "TWO=a b", "THREE=x=y", "--skip"), (*image, "--skip")
    )
    created.good("created", "local")
    credentials.good("created", "local")
    sets, keys, hidden = cli.run_all(
        ("secrets", "list", "--region", "local"),
        ("secrets", "list", name),
        ("secrets", "list", pull),
    )
    sets.good(name, pull)
    keys.good("ONE", "TWO", "THREE")
    cli.refused(hidden, "never listed")
    if cli.client.json:
        kinds = {each["name"]: each["type"] for each in sets.json["secretSets"]}
        assert (kinds[name], kinds[pull]) == ("secret", "imagePullSecret")
        assert [each["fieldName"] for each in keys.json["secrets"]] == ["ONE", "THREE", "TWO"]
    unset, deleted = cli.run_all(
        ("secrets", "unset", name, "TWO", "--skip"), ("secrets", "delete", pull, "--skip")
    )
    unset.good("deleted successfully")
    deleted.good("deleted successfully")
    assert [k["fieldName"] for k in of(plane, f"secrets/{name}")["secrets"]] == ["ONE", "THREE"]
    cli.run("secrets", "delete", name, "--skip").good("deleted successfully")
    assert cli.client.name not in str(of(plane, "secrets"))


def test_what_cannot_be_deployed_is_refused(cli: CommandLine, plane: RunningPlane) -> None:
    before = of(plane, "services/greeter")["body"]
    (cli.home / "Dockerfile").write_text("FROM scratch\n")
    deploy = ("deploy", "greeter", "local:greeter", "--yes")
    no_engine = 'deploy it with the image "local:NAME"'
    wanted = [
        ("deploy", "greeter", "example/greeter:1", "--yes"),
        ("deploy", "stranger", "local:stranger", "--yes"),
        ("deploy", "greeter", "--yes"),
        (*deploy, "--profile", "agent-9x"),
    ]
    if cli.client.json:
        wanted.append(("deploy", "later", "--repo", "me/later", "--branch", "main", "--yes"))
        wanted.append((*deploy, "--resources", "cpu=2,memory=4Gi"))
    image, other, unnamed, profile, *newer = cli.run_all(*wanted)
    cli.refused(image, "PCC_IMAGE_NOT_FOUND", no_engine)
    cli.refused(other, "No folder is registered for the agent 'stranger'")
    cli.refused(unnamed, no_engine)
    cli.refused(profile, "agent-1x, agent-2x, agent-3x")
    for ran, told in zip(newer, (no_engine, "agent-1x, agent-2x, agent-3x"), strict=False):
        cli.refused(ran, told)
    after = of(plane, "services/greeter")["body"]
    assert after["desiredDeploymentId"] == before["desiredDeploymentId"]
    assert plane.ask("GET", f"{ORGANIZATION}/services/later").status == 404


def test_an_agent_is_deployed_changed_and_deleted(
    cli: CommandLine, plane: RunningPlane, tmp_path: Path
) -> None:
    secrets = f"later-{cli.client.name}"
    wanted = {"secretKey": "STUB_SECRET", "secretValue": "word"}
    assert plane.ask("PUT", f"{ORGANIZATION}/secrets/{secrets}", wanted).status == 202
    file = tmp_path / "pcc-deploy.toml"
    file.write_text(DEPLOY.replace("SET", secrets))

    deployed, broken = cli.run_all(
        ("deploy", "--config-file", str(file), "--yes"),
        ("deploy", "broken", "local:broken", "--yes"),
    )
    deployed.good("is ready")
    cli.refused(broken, "Agent deployment failed", "no such model")
    assert plane.ask("DELETE", f"{ORGANIZATION}/services/broken").status == 200
    service = of(plane, "services/later")["body"]
    first = service["activeDeploymentId"]
    assert service["ready"] and service["desiredDeploymentId"] == first
    assert service["autoScaling"] == {"minReplicas": 0, "maxReplicas": 2}
    assert service["krispViva"] == {"audioFilter": "tel"}
    assert (service["agentProfile"], service["secretSet"]) == ("agent-2x", secrets)
    assert service["deployment"]["manifest"]["spec"]["maxSessionDurationSeconds"] == 900
    session_id = plane.start_session("later")["sessionId"]
    told = plane.ask("GET", f"/v1/public/later/sessions/{session_id}/secret", key=plane.public_key)
    assert told.json == "word"

    scaling = ("--min-agents", "1", "--max-agents", "3")
    changed = cli.run("deploy", "later", "local:later", *scaling, "--yes").good("is ready")
    service = of(plane, "services/later")["body"]
    second = service["activeDeploymentId"]
    assert second != first
    assert service["autoScaling"] == {"minReplicas": 1, "maxReplicas": 3}
    # What it does not name stays.
    assert (service["agentProfile"], service["secretSet"]) == ("agent-2x", secrets)
    agents, deployments = cli.run_all(
        ("agent", "list", "--region", "local"), ("agent", "deployments", "later")
    )
    agents.good("greeter", "later")
    deployments.good(first, second, "local:later")
    if cli.client.json:
        assert deployed.json == _ready("later", first)
        assert changed.json == _ready("later", second)
        assert [each["name"] for each in agents.json["agents"]] == ["greeter", "later"]
        # Those of an earlier agent of this name come after.
        assert [each["id"] for each in deployments.json["deployments"]][:2] == [second, first]

    cli.run("agent", "delete", "later", "--force").good("deleted successfully")
    assert plane.ask("GET", f"{ORGANIZATION}/services/later").status == 404
    # Its session goes on.
    wait_until(lambda: plane.session("later", session_id)["resourceMetrics"])
    gone, one = cli.run_all(
        ("agent", "start", "later", "--force"),
        ("agent", "sessions", "later", "--id", session_id),
        output="rich",
    )
    cli.refused(gone, "does not exist")
    one.good(session_id, "Active", "Resource Metrics", "p50", "MB")
    cli.run("agent", "stop", "later", "--session-id", session_id, "--force").good()
    assert plane.session("later", session_id)["endState"] == "terminated"


def _ready(agent: str, deployment_id: str) -> dict[str, Any]:
    return {"agentName": agent, "deploymentId": deployment_id, "ready": True, "available": True}


def test_a_session_is_started_seen_and_stopped(cli: CommandLine, plane: RunningPlane) -> None:
    started = cli.run("agent", "start", "greeter", "--force")
    (session,) = of(plane, "services/greeter/sessions?endState=active")["sessions"]
    session_id = session["sessionId"]
    started.good(session_id, "started successfully")
    path = f"/v1/public/greeter/sessions/{session_id}/secret"
    assert plane.ask("GET", path, key=plane.public_key).status == 200
    logged = f"services/greeter/logs?sessionId={session_id}"
    wait_until(lambda: "GET /secret 200" in str(of(plane, logged)))

    full, status, sessions, one, logs = cli.run_all(
        ("agent", "start", "greeter", "--force"),
        ("agent", "status", "greeter"),
        ("agent", "sessions", "greeter"),
        ("agent", "sessions", "greeter", "--id", session_id),
        ("agent", "logs", "greeter", "--session-id", session_id),
    )
    cli.refused(full, "PCC-AGENT-AT-CAPACITY", "Service maximum agent instances reached")
    status.good("local:greeter", "agent-1x")
    sessions.good(session_id)
    one.good(session_id)
    logs.good("GET /secret 200")
    (session,) = of(plane, "services/greeter/sessions?endState=active")["sessions"]
    assert session["sessionId"] == session_id
    if cli.client.json:
        assert started.json == {"sessionId": session_id}
        assert status.json["activeSessionCount"] == 1
        assert sessions.json["sessions"][0]["endState"] == "active"
        codes = [event["eventCode"] for event in one.json["events"]]
        assert codes == ["SESSION_START_INITIATED", "REQUEST_ARRIVED_AT_BOT"]
        assert {line["sessionId"] for line in logs.json["logs"]} == {session_id}
        shown = (("agent", "status", "greeter"), ("agent", "sessions", "greeter"))
        status, sessions = cli.run_all(*shown, output="rich")
        status.good("local:greeter", "Ready")
        sessions.good(session_id, "Active")

    stop = ("agent", "stop", "greeter", "--session-id", session_id, "--force")
    cli.run(*stop).good("stopped successfully")
    ended = plane.session("greeter", session_id)
    assert ended["endState"] == "terminated" and ended["endedAt"]
    cli.refused(cli.run(*stop), "The session has ended already")
    if cli.client.json:
        ran = cli.run("agent", "sessions", "greeter", "--end-state", "terminated")
        assert session_id in [each["sessionId"] for each in ran.good().json["sessions"]]


def test_starts_carry_their_data_to_the_bot(cli: CommandLine, plane: RunningPlane) -> None:
    cli.run("agent", "start", "greeter", "--force", "--data", '{"name": "Ada"}').good()
    (session,) = of(plane, "services/greeter/sessions?endState=active")["sessions"]
    visit(plane, session["sessionId"])

    started, full, unknown, unauthorized = cli.python(SDK, plane.public_key)
    assert full["code"] == "PCC-AGENT-AT-CAPACITY"
    assert full["error"] == "PCC-AGENT-AT-CAPACITY - Service maximum agent instances reached"
    assert unknown == {"code": "404", "error": "404 - There is no agent 'nobody'."}
    assert unauthorized["code"] == "401"
    visit(plane, started["sessionId"])


def visit(plane: RunningPlane, session_id: str) -> None:
    """Offer a connection, as a browser does; once the bot has greeted, end its session."""

    async def offer() -> dict[str, str]:
        peer = RTCPeerConnection(RTCConfiguration(iceServers=[]))
        peer.addTransceiver("audio", direction="recvonly")
        await peer.setLocalDescription(await peer.createOffer())
        offered = {"sdp": peer.localDescription.sdp, "type": "offer"}
        await peer.close()
        return offered

    path = f"/v1/public/greeter/sessions/{session_id}/api/offer"
    answer = plane.ask("POST", path, asyncio.run(offer()), plane.public_key)
    assert answer.status == 200, answer.content
    logs = f"services/greeter/logs?sessionId={session_id}"
    wait_until(lambda: "greets Ada" in str(of(plane, logs)))
    stopped = plane.ask("DELETE", f"{ORGANIZATION}/services/greeter/sessions/{session_id}")
    assert stopped.status == 200, stopped.content
