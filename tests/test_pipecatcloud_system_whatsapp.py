"""WhatsApp's calls: signed webhooks, a real WebRTC caller, and a Graph API on loopback."""

import asyncio
import contextlib
import datetime
import hashlib
import hmac
import json
import socket
import ssl
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import aiohttp
import numpy as np
import pytest
import uvicorn
from aiohttp import web
from aiohttp.abc import AbstractResolver, ResolveResult
from aiortc import RTCConfiguration, RTCPeerConnection, RTCSessionDescription
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from fastapi import FastAPI
from http_edge import http_edge
from pipecat.frames.frames import OutputAudioRawFrame
from pipecat.pipeline.pipeline import Pipeline
from pipecat.pipeline.worker import PipelineWorker
from pipecat.transports.base_transport import TransportParams
from pipecat.transports.smallwebrtc.transport import SmallWebRTCTransport
from pipecat.workers.runner import WorkerRunner
from pod_process import Tone, pod_process, request, until

from pipecatcloud_system.ice import IceSource
from pipecatcloud_system.replies import install_replies
from pipecatcloud_system.session import Pod
from pipecatcloud_system.settings import WhatsAppKeys
from pipecatcloud_system.whatsapp import WhatsAppCalls, whatsapp_routes

GRAPH = "graph.facebook.com"
KEYS = WhatsAppKeys("graph-token", "1234", "app-secret", "verify-me")
RATE_HZ = 24_000


class Graph:
    """WhatsApp's side: what it was asked, and what it says to that."""

    def __init__(self) -> None:
        self.asked: list[tuple[str, str]] = []
        self.answers: asyncio.Queue[str] = asyncio.Queue()
        self.accepts = True

    async def answer(self, asked: web.Request) -> web.Response:
        assert asked.path.endswith("/1234/calls")
        assert asked.headers["authorization"] == "Bearer graph-token"
        body = await asked.json()
        self.asked.append((body["action"], body["call_id"]))
        if body["action"] == "accept" and self.accepts:
            self.answers.put_nowait(body["session"]["sdp"])
        return web.json_response({"success": self.accepts})


class Loopback(AbstractResolver):
    """Finds every host on this machine."""

    def __init__(self, port: int) -> None:
        self._port = port

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_INET
    ) -> list[ResolveResult]:
        assert host == GRAPH
        found = ResolveResult(
            hostname=host, host="127.0.0.1", port=self._port, family=family, proto=0, flags=0
        )
        return [found | {"family": socket.AF_INET}]

    async def close(self) -> None: ...


class Office:
    """A pod's WhatsApp half with a bot that plays a tone."""

    def __init__(self, graph: Graph) -> None:
        self.graph = graph
        self.pod = Pod(self.bot)
        self.bodies: list[Any] = []
        self.url = ""

    async def bot(self, args: Any) -> None:
        self.bodies.append((args.session_id, args.body))
        parameters = TransportParams(audio_out_enabled=True, audio_out_sample_rate=RATE_HZ)
        transport = SmallWebRTCTransport(args.webrtc_connection, parameters)
        worker = PipelineWorker(Pipeline([transport.input(), transport.output()]))

        @transport.event_handler("on_client_connected")
        async def on_client_connected(*_: Any) -> None:
            tone = np.sin(np.arange(RATE_HZ * 30) * 2 * np.pi * 440 / RATE_HZ) * 8000
            await worker.queue_frame(OutputAudioRawFrame(tone.astype("<i2").tobytes(), RATE_HZ, 1))

        @transport.event_handler("on_client_disconnected")
        async def on_client_disconnected(*_: Any) -> None:
            await worker.cancel()

        runner = WorkerRunner(handle_sigint=False)
        await runner.add_workers(worker)
        await runner.run()

    async def webhook(
        self, body: Any, signature: str | None = None, session_id: str = "called"
    ) -> tuple[int, Any]:
        """Post a webhook, signed unless a signature is given."""
        raw = body if isinstance(body, bytes) else json.dumps(body).encode()
        right = "sha256=" + hmac.new(b"app-secret", raw, hashlib.sha256).hexdigest()
        headers = {
            "x-hub-signature-256": right if signature is None else signature,
            "x-daily-session-id": session_id,
        }
        return await request("POST", f"{self.url}/whatsapp", raw, headers)


class Phone:
    """A WhatsApp user's telephone."""

    def __init__(self) -> None:
        self.pc = RTCPeerConnection(RTCConfiguration(iceServers=[]))
        self.pc.addTrack(Tone())
        self.loud_frames = 0
        self._listening: asyncio.Task[None] | None = None
        self.pc.on("track", self._listen)

    def _listen(self, track: Any) -> None:
        self._listening = asyncio.ensure_future(self._hear(track))

    async def _hear(self, track: Any) -> None:
        while True:
            frame = await track.recv()
            self.loud_frames += int(np.abs(frame.to_ndarray()).max() > 1000)

    async def offer(self) -> str:
        await self.pc.setLocalDescription(await self.pc.createOffer())
        return str(self.pc.localDescription.sdp)

    async def close(self) -> None:
        if self._listening is not None:
            self._listening.cancel()
            await asyncio.wait({self._listening})
        await self.pc.close()


@pytest.fixture
async def office(tmp_path: Path) -> AsyncIterator[Office]:
    graph = Graph()
    server_side, client_side = certificate(tmp_path)
    async with http_edge(graph.answer, server_side) as url:
        port = int(url.rpartition(":")[2])
        connector = aiohttp.TCPConnector(resolver=Loopback(port), ssl=client_side)
        http = aiohttp.ClientSession(connector=connector)
        office = Office(graph)
        calls = WhatsAppCalls(office.pod, IceSource(None, ()), KEYS)
        app = FastAPI()
        app.include_router(whatsapp_routes(calls, KEYS))
        install_replies(app)
        async with calls.running(http), serving(app) as office.url:
            yield office
            await office.pod.close()


@contextlib.asynccontextmanager
async def serving(app: FastAPI) -> AsyncIterator[str]:
    server = uvicorn.Server(uvicorn.Config(app, log_level="warning", lifespan="off"))
    server.capture_signals = contextlib.nullcontext  # type: ignore[method-assign, assignment]
    listener = socket.create_server(("127.0.0.1", 0))
    task = asyncio.create_task(server.serve([listener]))
    try:
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"
    finally:
        server.should_exit = True
        await task


def certificate(folder: Path) -> tuple[ssl.SSLContext, ssl.SSLContext]:
    """TLS for a server that is WhatsApp's, and for a client that believes it."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, GRAPH)])
    now = datetime.datetime.now(datetime.UTC)
    signed = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(GRAPH)]), critical=False)
        .sign(key, hashes.SHA256())
    )
    pem = signed.public_bytes(serialization.Encoding.PEM)
    file = folder / "graph.pem"
    file.write_bytes(
        pem
        + key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
    )
    server_side = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    server_side.load_cert_chain(file)
    return server_side, ssl.create_default_context(cadata=pem.decode())


def event(call: dict[str, Any], **value: Any) -> dict[str, Any]:
    common = {"from": "4915", "to": "4930", "timestamp": "1", "direction": "USER_INITIATED"}
    about = {"messaging_product": "whatsapp", "calls": [common | call]}
    about["metadata"] = {"display_phone_number": "4930", "phone_number_id": "1234"}
    change = {"field": "calls", "value": about | value}
    return {"object": "whatsapp_business_account", "entry": [{"id": "1", "changes": [change]}]}


def connect(call_id: str, sdp: str) -> dict[str, Any]:
    contacts = [{"profile": {"name": "Ada"}, "wa_id": "4915"}]
    session = {"sdp": sdp, "sdp_type": "offer"}
    return event({"id": call_id, "event": "connect", "session": session}, contacts=contacts)


async def test_a_call_is_a_session_like_any_other(office: Office) -> None:
    phone, graph = Phone(), office.graph
    webhook = connect("call-1", await phone.offer())
    # It may come twice.
    for _ in range(2):
        status, reply = await office.webhook(webhook)
        assert (status, reply["call"]) == (200, "answered")
    assert graph.asked == [("pre_accept", "call-1"), ("accept", "call-1")]
    await phone.pc.setRemoteDescription(RTCSessionDescription(graph.answers.get_nowait(), "answer"))
    await until(lambda: phone.loud_frames > 10)
    ((session_id, call),) = office.bodies
    assert (session_id, call.id, call.from_) == ("called", "call-1", "4915")

    # Another caller hears that the line is busy; this one hears nothing of it.
    other = Phone()
    status, reply = await office.webhook(connect("call-2", await other.offer()))
    assert (status, reply["call"], graph.asked[2:]) == (200, "rejected", [("reject", "call-2")])
    await other.close()
    loud_frames = phone.loud_frames
    await until(lambda: phone.loud_frames > loud_frames + 10)

    status, reply = await office.webhook(event({"id": "call-1", "event": "terminate"}))
    assert (status, reply["call"]) == (200, "ended")
    await until(lambda: office.pod.session is None)
    assert len(office.bodies) == 1
    await phone.close()


async def test_the_bot_may_hang_up(office: Office) -> None:
    phone = Phone()
    await office.webhook(connect("call-1", await phone.offer()))
    session = office.pod.session
    assert session is not None
    await session.end()
    assert office.graph.asked[-1] == ("terminate", "call-1")
    await phone.close()


async def test_only_whatsapps_own_webhooks_count(office: Office) -> None:
    body = connect("call-1", "v=0")
    for signature in ("", "sha256=", "sha256=" + "0" * 64, "sha256=é", "0" * 64):
        status, reply = await office.webhook(body, signature)
        assert (status, reply["code"]) == (403, "FORBIDDEN")
    assert (office.graph.asked, office.bodies) == ([], [])


@pytest.mark.parametrize(
    "body", [b"", b"{", b"[]", b"{}", {"object": "page", "entry": []}, b"\xff", b"[" * 100_000]
)
async def test_malformed_webhooks(office: Office, body: Any) -> None:
    status, reply = await office.webhook(body)
    assert (status, reply["code"]) == (400, "GENERIC_BAD_REQUEST")


async def test_a_webhook_without_a_call_is_ignored(office: Office) -> None:
    body = {"object": "whatsapp_business_account", "entry": []}
    assert await office.webhook(body) == (200, {"status": "success", "call": "ignored"})


async def test_a_call_that_cannot_be_answered_takes_nothing(office: Office) -> None:
    phone = Phone()
    sdp = await phone.offer()
    office.graph.accepts = False
    for offered in (sdp, "v=0", "nonsense"):
        status, reply = await office.webhook(connect("call-1", offered))
        assert (status, reply["call"]) == (200, "rejected")
        assert office.graph.asked[-1] == ("reject", "call-1")
        assert office.pod.session is None
    assert office.bodies == []
    await phone.close()


async def test_a_pod_that_shuts_down_takes_no_calls(office: Office) -> None:
    office.pod.draining = True
    status, reply = await office.webhook(connect("call-1", "v=0"))
    assert (status, reply["call"]) == (200, "rejected")
    assert office.graph.asked == [("reject", "call-1")]


async def test_the_address_is_proved_once(office: Office) -> None:
    async def verify(token: str, mode: str = "subscribe", challenge: str = "1158201444") -> Any:
        query = f"hub.mode={mode}&hub.verify_token={token}&hub.challenge={challenge}"
        return await request("GET", f"{office.url}/whatsapp?{query}")

    assert await verify("verify-me") == (200, "1158201444")
    for wrong in (("verify-you",), ("",), ("verify-me", "unsubscribe"), ("%C3%A9",)):
        status, reply = await verify(*wrong)
        assert (status, "verify-me" in json.dumps(reply)) == (403, False)
    for challenge in ("", "<script>", "1" * 65):
        assert (await verify("verify-me", challenge=challenge))[0] == 400
    assert (await request("GET", f"{office.url}/whatsapp"))[0] == 403


async def test_a_pod_has_the_routes_only_with_its_keys(tmp_path: Path) -> None:
    keys = {"WHATSAPP_TOKEN": "t", "WHATSAPP_PHONE_NUMBER_ID": "1", "WHATSAPP_APP_SECRET": "s"}
    query = "hub.mode=subscribe&hub.verify_token=verify-me&hub.challenge=7"
    keys["WHATSAPP_WEBHOOK_VERIFICATION_TOKEN"] = "verify-me"
    with pod_process(tmp_path, "minimal", **keys) as pod:
        assert await request("GET", f"{pod.url}/whatsapp?{query}") == (200, "7")
        assert (await request("POST", f"{pod.url}/whatsapp", {}))[0] == 403
        _, document = await request("GET", f"{pod.url}/pcc/capabilities")
        assert document["capabilities"]["whatsapp"] == {"available": True}
        assert "verify-me" not in pod.log.read_text()
    del keys["WHATSAPP_APP_SECRET"]
    with pod_process(tmp_path, "minimal", **keys) as pod:
        assert (await request("GET", f"{pod.url}/whatsapp?{query}"))[0] == 404
        assert (await request("POST", f"{pod.url}/whatsapp", {}))[0] == 404
        assert "WhatsApp's calls are not taken: not set: WHATSAPP_APP_SECRET" in pod.log.read_text()
