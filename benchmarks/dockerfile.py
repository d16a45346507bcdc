"""Reads a Dockerfile and a .dockerignore: as much of both as this repository's own use."""

import json
import re
import shlex
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from string import Template

KNOWN = {
    "ARG",
    "CMD",
    "COPY",
    "ENV",
    "EXPOSE",
    "FROM",
    "HEALTHCHECK",
    "RUN",
    "STOPSIGNAL",
    "USER",
    "WORKDIR",
}


@dataclass(frozen=True)
class Instruction:
    """One instruction.

    Attributes:
        name: in capitals.
        flags: what stands before the value as --name=value.
        value: the rest, its continued lines joined, variables as written.
    """

    name: str
    flags: dict[str, str]
    value: str

    @property
    def words(self) -> list[str]:
        """The value as a list: JSON where it is that, else split as a shell does."""
        value = self.value.removeprefix("CMD ")  # of a HEALTHCHECK
        return json.loads(value) if value.startswith("[") else shlex.split(value)

    @property
    def settings(self) -> dict[str, str]:
        """The NAME=value pairs of ARG and ENV; an ARG without a value has an empty one."""
        return {name: value for name, _, value in (word.partition("=") for word in self.words)}


@dataclass(frozen=True)
class Stage:
    """One FROM and what follows it.

    Attributes:
        name: after AS; empty without.
        base: an image, or the name of an earlier stage.
        instructions: in order.
    """

    name: str
    base: str
    instructions: list[Instruction]

    def all(self, name: str) -> list[Instruction]:
        """Its instructions of one kind."""
        return [one for one in self.instructions if one.name == name]


def stages(dockerfile: Path) -> list[Stage]:
    """The stages in order; the last is what `docker build` makes without --target.

    Raises:
        ValueError: it has an instruction that this reader does not know.
    """
    defaults: dict[str, str] = {}
    found: list[Stage] = []
    for one in _instructions(dockerfile.read_text(encoding="utf-8")):
        if one.name == "FROM":
            base, *rest = filled(one.value, defaults).split()
            found.append(Stage(rest[1] if rest else "", base, []))
        elif found:
            found[-1].instructions.append(one)
        else:
            defaults |= one.settings
    return found


def _instructions(text: str) -> Iterator[Instruction]:
    lines = [line for line in text.splitlines() if not line.lstrip().startswith("#")]
    for line in re.sub(r"\\\n", "", "\n".join(lines)).splitlines():
        if not line.strip():
            continue
        name, _, rest = line.strip().partition(" ")
        if name not in KNOWN:
            raise ValueError(f"this reader of Dockerfiles does not know {name}")
        flags = {}
        while match := re.match(r"\s*--([\w-]+)=(\S+)\s+", rest):
            flags[match[1]] = match[2]
            rest = rest[match.end() :]
        yield Instruction(name, flags, rest.strip())


def filled(text: str, variables: dict[str, str]) -> str:
    """The text with $NAME and ${NAME} in it replaced where there is such a variable."""
    return Template(text).safe_substitute(variables)


class Ignored:
    """What a .dockerignore keeps out of a build, as Docker reads it.

    Raises:
        ValueError: it has an exception (!) or a pattern with [ or ?, which are not read here.
    """

    def __init__(self, file: Path) -> None:
        lines = file.read_text(encoding="utf-8").split("\n")
        patterns = [line.strip() for line in lines if line.strip() and line[0] != "#"]
        if unread := [pattern for pattern in patterns if set(pattern) & set("![]?")]:
            raise ValueError(f"{file} has patterns that are not read here: {unread}")
        parts = (re.escape(pattern).replace(r"\*\*/", "(.*/)?") for pattern in patterns)
        self._pattern = re.compile("|".join(part.replace(r"\*", "[^/]*") for part in parts))

    def __contains__(self, path: PurePosixPath) -> bool:
        """Whether a file, named from the build's folder, stays out, itself or with its folder."""
        whole = (path, *path.parents)
        return any(self._pattern.fullmatch(part.as_posix()) for part in whole)
