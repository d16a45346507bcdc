"""POST /whatsapp: calls from WhatsApp, each a session like any other."""

import asyncio
import contextlib
import hashlib
import hmac
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import aiohttp
from fastapi import APIRouter, Request
from fastapi.responses import JSONResponse, PlainTextResponse
from loguru import logger
from pipecat.runner.types import SmallWebRTCRunnerArguments
from pipecat.transports.smallwebrtc.connection import SmallWebRTCConnection
from pipecat.transports.whatsapp.api import (
    WhatsAppApi,
    WhatsAppConnectCall,
    WhatsAppConnectCallValue,
    WhatsAppWebhookRequest,
)
from pipecat.transports.whatsapp.client import WhatsAppClient
from pydantic import ValidationError

from pipecatcloud_system.arguments import read_start
from pipecatcloud_system.errors import Failure, Refusal
from pipecatcloud_system.ice import IceSource
from pipecatcloud_system.offers import MAX_SDP_CHARS
from pipecatcloud_system.peers import for_connection
from pipecatcloud_system.session import Pod, Start
from pipecatcloud_system.settings import WhatsAppKeys

API_TIMEOUT_S = 4.0
"""How long WhatsApp may take for one request of ours."""
MAX_CHALLENGE_CHARS = 64


class Caller:
    """A WhatsApp call's other end, as the pod sees it: it leaves when WhatsApp says so."""

    def __init__(self) -> None:
        self.connection: SmallWebRTCConnection | None = None

    async def replaceable(self) -> bool:
        """Whether the connection has closed."""
        return self.connection is not None and self.connection.pc.connectionState in (
            "closed",
            "failed",
        )

    def dismiss(self) -> None:
        """Nothing more to tell: only a closed connection is put out."""


class WhatsAppCalls:
    """Takes calls through Pipecat's WhatsApp client, if the pod has room for them."""

    def __init__(self, pod: Pod, source: IceSource, keys: WhatsAppKeys) -> None:
        self._pod = pod
        self._source = source
        self._keys = keys
        self._client: WhatsAppClient
        self._api: WhatsAppApi
        self._current: str | None = None
        """The call that has the pod, by WhatsApp's id."""

    @asynccontextmanager
    async def running(self, http: aiohttp.ClientSession | None = None) -> AsyncIterator[None]:
        """Take calls within this context.

        Args:
            http: for the requests to WhatsApp; one is made without.
        """
        timeout = aiohttp.ClientTimeout(total=API_TIMEOUT_S)
        keys = self._keys
        async with http or aiohttp.ClientSession(timeout=timeout) as session:
            self._client = WhatsAppClient(
                keys.token, keys.phone_number_id, session, [], keys.app_secret
            )
            self._api = WhatsAppApi(keys.token, keys.phone_number_id, session)
            yield
            await self._client.terminate_all_calls()

    async def handle(self, body: bytes, signature: str | None, start: Start) -> str:
        """Do what a webhook says; gives what has become of it.

        Raises:
            Refusal: it is not WhatsApp's, cannot be read, or the call cannot be taken.
        """
        self._check_signature(body, signature)
        webhook = _read(body)
        call = _new_call(webhook)
        if call is None:
            return await self._pass_on(webhook, body, signature)
        if call.id == self._current:
            # Webhooks may come twice; to reject it now would hang up.
            return "answered"
        with logger.contextualize(session_id=start.session_id):
            try:
                return await self._take(call, webhook, body, signature, start)
            except Refusal as refusal:
                # WhatsApp repeats webhooks that fail; the caller hears that nobody answers.
                logger.info("A WhatsApp call is rejected: {}", refusal)
                with contextlib.suppress(aiohttp.ClientError, TimeoutError, ValueError):
                    await self._api.reject_call_to_whatsapp(call.id)
                return "rejected"

    def _check_signature(self, body: bytes, signature: str | None) -> None:
        right = hmac.new(self._keys.app_secret.encode(), body, hashlib.sha256).hexdigest()
        given = (signature or "").removeprefix("sha256=").encode()
        if not hmac.compare_digest(right.encode(), given):
            raise Refusal(403, "X-Hub-Signature-256 is not this body's.")

    async def _take(
        self,
        call: WhatsAppConnectCall,
        webhook: WhatsAppWebhookRequest,
        body: bytes,
        signature: str | None,
        start: Start,
    ) -> str:
        """Hold the pod's place for a call, answer it, and have the bot talk.

        Raises:
            Refusal: the pod has no room.
        """
        caller = Caller()
        answered: asyncio.Future[SmallWebRTCRunnerArguments]
        answered = asyncio.get_running_loop().create_future()

        async def converse() -> Failure | None:
            self._current = call.id
            try:
                return await self._pod.converse(await answered, start)
            finally:
                self._current = None
                await self._client.terminate_all_calls()

        async def connected(connection: SmallWebRTCConnection, call: WhatsAppConnectCall) -> None:
            caller.connection = connection
            if not answered.done():
                answered.set_result(
                    SmallWebRTCRunnerArguments(webrtc_connection=connection, body=call)
                )

        session = await self._pod.begin(start.session_id, converse, caller)
        try:
            self._client.update_ice_servers(for_connection(await self._source.servers()))
            await self._client.handle_webhook_request(webhook, connected, body, signature)
        # The client raises bare exceptions: whatever WhatsApp or the call's SDP made it say.
        except Exception as error:
            logger.warning("A WhatsApp call cannot be answered: {}", type(error).__name__)
        finally:
            # Unless the bot has it: then the session ends here, whatever went wrong.
            answered.cancel()
        if answered.cancelled():
            await session.finished()
            raise Refusal(500, "The WhatsApp call cannot be answered.")
        return "answered"

    async def _pass_on(
        self, webhook: WhatsAppWebhookRequest, body: bytes, signature: str | None
    ) -> str:
        """Have the client end the call that has been hung up."""
        try:
            await self._client.handle_webhook_request(webhook, None, body, signature)
        except ValueError:
            return "ignored"
        return "ended"


def _read(body: bytes) -> WhatsAppWebhookRequest:
    try:
        webhook = WhatsAppWebhookRequest.model_validate_json(body)
    except ValidationError as error:
        place = ".".join(str(part) for part in error.errors()[0]["loc"]) or "body"
        raise Refusal(400, f"{place}: not as in WhatsApp's webhooks for calls.") from None
    if webhook.object != "whatsapp_business_account":
        raise Refusal(400, "object: must be whatsapp_business_account.")
    return webhook


def _new_call(webhook: WhatsAppWebhookRequest) -> WhatsAppConnectCall | None:
    """The call that a webhook announces; None if it announces none."""
    for entry in webhook.entry:
        for change in entry.changes:
            if isinstance(change.value, WhatsAppConnectCallValue):
                for call in change.value.calls:
                    if call.event == "connect":
                        if len(call.session.sdp) > MAX_SDP_CHARS:
                            raise Refusal(400, "session.sdp: is too long.")
                        return call
    return None


def whatsapp_routes(calls: WhatsAppCalls, keys: WhatsAppKeys) -> APIRouter:
    """The routes that WhatsApp calls."""
    router = APIRouter()

    @router.post("/whatsapp")
    async def webhook(request: Request) -> JSONResponse:
        """Take a webhook."""
        signature = request.headers.get("x-hub-signature-256")
        start = read_start(request.headers)
        outcome = await calls.handle(await request.body(), signature, start)
        return JSONResponse({"status": "success", "call": outcome})

    if (token := keys.verification_token) is not None:

        @router.get("/whatsapp")
        async def verify(request: Request) -> PlainTextResponse:
            """Prove that this webhook is the operator's."""
            asked = request.query_params
            right = hmac.compare_digest(asked.get("hub.verify_token", "").encode(), token.encode())
            challenge = asked.get("hub.challenge", "")
            if not right or asked.get("hub.mode") != "subscribe":
                raise Refusal(403, "hub.mode and hub.verify_token are not as they should be.")
            if not (challenge.isascii() and challenge.isalnum()) or (
                len(challenge) > MAX_CHALLENGE_CHARS
            ):
                raise Refusal(400, "hub.challenge: must be letters and digits.")
            return PlainTextResponse(challenge)

    return router
