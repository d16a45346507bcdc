"""The services the agent listens, thinks and speaks with."""

from services.choice import ServiceChoice
from services.turn_taking import TurnTaking

__all__ = ["ServiceChoice", "TurnTaking"]
