"""The least a bot.py can be."""

from typing import Any


async def bot(args: Any) -> None:
    pass
