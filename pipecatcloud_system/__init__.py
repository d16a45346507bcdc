"""One process, one session at a time: the pod, under the contract of Pipecat Cloud's base image.

A ``bot.py`` hangs its own routes on ``app`` and its start-up work on ``add_lifespan_to_app``.
Importing this package registers no route and starts nothing: ``python -m pipecatcloud_system``
does.
"""

from pipecatcloud_system.application import add_lifespan_to_app, app

__all__ = ["add_lifespan_to_app", "app"]
