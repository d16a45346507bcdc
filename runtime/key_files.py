"""Keys of the control plane's own, in files that only its user can read."""

import os
from collections.abc import Callable
from pathlib import Path


def kept_key(file: Path, make: Callable[[], bytes]) -> bytes:
    """The content of a key file; where there is none, a new one is made.

    Args:
        file: where it is kept.
        make: gives a new key.

    Raises:
        OSError: it can be neither read nor written.
    """
    if not file.exists():
        descriptor = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "wb") as new:
            new.write(make())
    return file.read_bytes()
