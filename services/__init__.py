"""The services the agent listens, thinks and speaks with."""

from services.choice import ServiceChoice

__all__ = ["ServiceChoice"]
