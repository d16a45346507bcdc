"""The control plane's parts, in one place for its routes."""

from dataclasses import dataclass

from starlette.requests import HTTPConnection

from runtime.access import Door
from runtime.agents import Agents
from runtime.control import Sessions
from runtime.keys import Keys
from runtime.settings import Settings
from runtime.store import Store
from runtime.tickets import Tickets
from runtime.vault import Vault


@dataclass(frozen=True)
class Plane:
    """What routes need."""

    settings: Settings
    store: Store
    keys: Keys
    door: Door
    vault: Vault
    tickets: Tickets
    agents: Agents
    sessions: Sessions

    def base_url(self, request: HTTPConnection) -> str:
        """How the caller reaches the control plane."""
        if self.settings.public_url is not None:
            return self.settings.public_url
        scheme = {"ws": "http", "wss": "https"}.get(request.url.scheme, request.url.scheme)
        return f"{scheme}://{request.url.netloc}"
