"""A bot.py that reports no capabilities."""

from typing import Any

capabilities = None


async def bot(args: Any) -> None:
    pass
