"""GET /openapi.json: what the routes take, for tools; no page that shows it."""

import asyncio
from typing import Any

from fastapi import APIRouter, FastAPI
from fastapi.responses import JSONResponse

from pipecatcloud_system.offers import MAX_CANDIDATES, Candidate, Offer


def _takes(schema: dict[str, Any], *headers: str) -> dict[str, Any]:
    """The description of a route that reads its JSON body and its headers by itself."""
    return {
        "parameters": [
            {"name": name, "in": "header", "required": False, "schema": {"type": "string"}}
            for name in headers
        ],
        "requestBody": {"required": True, "content": {"application/json": {"schema": schema}}},
    }


BOT = _takes(
    {"type": "object"},
    "x-daily-session-id",
    "x-daily-transport-type",
    "x-daily-room-url",
    "x-daily-room-token",
    "x-pcc-max-session-seconds",
    "x-pcc-start-envelope",
)
OFFER = _takes(Offer.model_json_schema(), "x-daily-session-id", "x-pcc-max-session-seconds")
CANDIDATES = _takes(
    {
        "type": "object",
        "required": ["pc_id", "candidates"],
        "properties": {
            "pc_id": {"type": "string"},
            "candidates": {
                "type": "array",
                "maxItems": MAX_CANDIDATES,
                "items": Candidate.model_json_schema(),
            },
        },
    }
)


def openapi_routes(app: FastAPI) -> APIRouter:
    """The route that describes an application's routes."""
    router = APIRouter()

    @router.get("/openapi.json", include_in_schema=False)
    async def openapi() -> JSONResponse:
        # Made once, in some milliseconds, and kept by FastAPI.
        return JSONResponse(await asyncio.to_thread(app.openapi))

    return router
