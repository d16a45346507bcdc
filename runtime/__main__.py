"""Run the control plane, or look after its keys."""

import argparse
import asyncio
import dataclasses
import os
import sys
from pathlib import Path

import uvloop
from loguru import logger

from runtime.errors import CannotStart
from runtime.keys import Keys
from runtime.settings import Settings, port_number
from runtime.store import Store

SWITCH_S = 0.0005
"""How long one thread may hold the interpreter while another waits for it."""

HELP = """A control plane for voice agents: your own Pipecat Cloud on one machine.

Starts sessions, each in a pod of its own, forwards requests to the pod that holds a session, and
answers the command line and the SDK of Pipecat Cloud:

    export PIPECAT_API_HOST=http://127.0.0.1:7860 PIPECAT_TOKEN=<private key> PIPECAT_ORG=local
    pipecat cloud agent list

The first start prints a public and a private key. Settings are environment variables;
docs/runtime.md has them all.
"""


def main() -> int:
    """Serve, or do one thing with keys; gives the process's exit status."""
    parser = argparse.ArgumentParser(
        prog="python -m runtime",
        description=HELP,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--host", help="address to listen on (RUNTIME_HOST, else 127.0.0.1)")
    parser.add_argument("--port", help="port, 0 for a free one (RUNTIME_PORT, else 7860)")
    parser.add_argument("--data", type=Path, help="its folder (RUNTIME_DATA, else .mouthpiece)")
    commands = parser.add_subparsers(dest="command", metavar="COMMAND")
    keys = commands.add_parser("keys", help="list, create or revoke keys")
    keys.add_argument("what", choices=("list", "create", "revoke"))
    keys.add_argument("--kind", choices=("public", "private"), default="private")
    keys.add_argument("--name", default="key", help="what a new key is called")
    keys.add_argument("--id", default="", help="of the key to revoke")
    options = parser.parse_args()
    try:
        settings = Settings.from_environment(os.environ)
        if options.host is not None:
            settings = dataclasses.replace(settings, host=options.host)
        if options.port is not None:
            port = port_number(options.port, "--port")
            settings = dataclasses.replace(settings, port=port)
        if options.data is not None:
            settings = dataclasses.replace(settings, data=options.data.absolute())
    except ValueError as error:
        parser.error(str(error))
    logger.remove()
    logger.configure(extra={"request_id": "-"})
    logger.add(
        sys.stderr,
        level=settings.log_level,
        format="{time:YYYY-MM-DD HH:mm:ss.SSS} | {level: <8} | {extra[request_id]} - {message}",
        diagnose=False,
        backtrace=False,
    )
    try:
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            if options.command == "keys":
                return runner.run(_keys(settings, options))
            from runtime.server import Server

            # Threads that read logs or meter pods keep requests waiting for no longer.
            sys.setswitchinterval(SWITCH_S)
            runner.run(Server(settings).run())
    except CannotStart as error:
        print(error, file=sys.stderr)
        return 1
    return 0


async def _keys(settings: Settings, options: argparse.Namespace) -> int:
    path = settings.data / "store.sqlite"
    if not path.is_file():
        raise CannotStart(f"There is no control plane in {settings.data}; start it first.")
    store = Store(path)
    try:
        keys = Keys(store)
        found = await keys.load()
        if options.what == "create":
            _, text = await keys.create(options.kind, options.name)
            print(text)
        elif options.what == "revoke":
            kinds = [key.kind for key in found if key.id == options.id]
            if not kinds or not await keys.revoke(options.id, kinds[0]):
                print(f"There is no living key of the id {options.id!r}.", file=sys.stderr)
                return 1
        else:
            for key in found:
                state = "live" if key.revoked_s is None else "revoked"
                print(f"{key.id}  {key.kind:7}  {state:7}  {key.hint}…  {key.name}")
    finally:
        store.close()
    return 0


if __name__ == "__main__":
    sys.exit(main())
