"""Run the bot.py of the working directory as a pod: import it, add the routes, serve."""

import argparse
import asyncio
import dataclasses
import importlib
import os
import signal
import sys
from pathlib import Path
from types import ModuleType
from typing import NoReturn

import uvloop

from pipecatcloud_system.errors import CannotStart
from pipecatcloud_system.logs import configure_logging
from pipecatcloud_system.settings import Settings, port_number

HELP = """Serve the bot.py of the working directory: one process, one session at a time.

bot.py has `async def bot(args)`, and may have `readyz()` and routes of its own on the app that
it imports from pipecatcloud_system. Settings are environment variables; docs/pod.md has them all.
"""


def main() -> int:
    """Run the pod; gives the process's exit status."""
    parser = argparse.ArgumentParser(
        prog="python -m pipecatcloud_system",
        description=HELP,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--host", help="address to listen on (default: HOST, else 127.0.0.1)")
    parser.add_argument("--port", help="port, 0 for a free one (default: PORT, else 8080)")
    options = parser.parse_args()
    # In a container this is process 1, which without a handler of its own hears no SIGTERM.
    signal.signal(signal.SIGTERM, _leave)
    settings = read_settings(parser, options)
    try:
        configure_logging(settings.log_level, settings.log_dir)
        bot_module = import_bot()
        if bot_module is None:
            return 1
        # Once more: a bot.py may load a .env file.
        return run_pod(bot_module, read_settings(parser, options))
    except CannotStart as error:
        print(error, file=sys.stderr)
        return 1


def run_pod(bot_module: ModuleType, settings: Settings) -> int:
    """Serve an imported bot; gives the process's exit status.

    Raises:
        CannotStart: it cannot be served.
    """
    # Here too: what a bot.py imports may have taken over the log.
    configure_logging(settings.log_level, settings.log_dir)
    observe_pipelines(settings)
    # Only now: Pipecat takes a second to import, too long for --help or a mistyped setting.
    from pipecatcloud_system.server import install, serve

    pod = install(bot_module, settings)
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        return runner.run(serve(pod, settings))


def _leave(*_: object) -> NoReturn:
    """End the process while it is still starting; the server has better manners."""
    os.write(sys.stderr.fileno(), b"SIGTERM: ended before the pod listened\n")
    os._exit(0)


def observe_pipelines(settings: Settings) -> None:
    """Have Pipecat load observers.py for each pipeline, after the operator's own setup files."""
    files = [*settings.setup_files, Path(__file__).with_name("observers.py")]
    os.environ["PIPECAT_SETUP_FILES"] = os.pathsep.join(str(file) for file in files)


def read_settings(parser: argparse.ArgumentParser, options: argparse.Namespace) -> Settings:
    """The environment's settings, with the command line's in their place.

    A setting that cannot be used ends the process with the usage and what is wrong.
    """
    try:
        settings = Settings.from_environment(os.environ)
        if options.host is not None:
            settings = dataclasses.replace(settings, host=options.host)
        if options.port is not None:
            settings = dataclasses.replace(settings, port=port_number(options.port, "--port"))
    except ValueError as error:
        parser.error(str(error))
    return settings


def import_bot() -> ModuleType | None:
    """The module `bot`, or None after saying what is wrong with it."""
    # numpy's matrix library would keep threads spinning for products that take microseconds.
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
    sys.path.insert(0, os.getcwd())
    try:
        module = importlib.import_module("bot")
    except ModuleNotFoundError as error:
        if error.name != "bot":
            raise
        print(f"There is no bot.py in {os.getcwd()}.", file=sys.stderr)
        return None
    if not callable(getattr(module, "bot", None)):
        print(f"{module.__file__} has no bot(args) to run.", file=sys.stderr)
        return None
    return module


if __name__ == "__main__":
    sys.exit(main())
