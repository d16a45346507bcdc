"""What the scripted brain knows of a conversation: who said what, and the user's facts."""

import re
from collections.abc import Sequence
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Message:
    """One message of the context; `role` is "system", "developer", "user" or "assistant"."""

    role: str
    text: str


@dataclass
class Facts:
    """What is known about the two who talk.

    Attributes:
        agent: the agent's own name, "" if it has none.
        name: the user's, "" if unknown.
        likes: phrases that follow "you": "like tea", "prefer short answers".
        belongings: thing to value, as the user put it: "dog" to "Rex".
        notes: sentences to remember, in the second person.
    """

    agent: str = ""
    name: str = ""
    likes: list[str] = field(default_factory=list)
    belongings: dict[str, str] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)

    def sentences(self) -> list[str]:
        """Everything known about the user, one sentence each, addressed to the user."""
        known = [f"Your name is {self.name}."] if self.name else []
        known += [f"You {like}." for like in self.likes]
        known += [f"Your {thing} is {value}." for thing, value in self.belongings.items()]
        return known + [f"{note[:1].upper()}{note[1:]}." for note in self.notes]


_TOLD_AGENT = re.compile(r"\b(?:[Yy]ou are|[Yy]our name is|[Yy]our name:) ([A-Z][a-z]+)\b")
_TOLD_NAME = re.compile(r"(?<!your )\bname\s*[:=]\s*([^.;,\n]+)", re.I)
_TOLD_PREFERENCES = re.compile(r"\bpreferences?\s*[:=]\s*([^\n]+)", re.I)
_THIRD_PERSON = {"likes": "like", "loves": "love", "prefers": "prefer", "enjoys": "enjoy"} | {
    "hates": "hate", "dislikes": "dislike", "wants": "want", "needs": "need", "has": "have",
    "is": "are", "speaks": "speak", "plays": "play", "lives": "live", "works": "work",
}  # fmt: skip

_NAME = r"([^\W\d_][\w'-]*(?: [A-Z][\w'-]*)?)"
_SAYS_NAME = re.compile(
    rf"\b(?i:my name is|my name's|call me|i am called|i'm called) {_NAME}"
    rf"|^(?i:(?:hi|hello|hey|yes|well)?[,.! ]*(?:there[,.! ]*)?(?:i am|i'm|this is)) "
    r"([A-Z][\w'-]+)[.!]*$"
)
_SAYS_LIKE = re.compile(
    r"\bi (?:really |also |just |do )?(like|love|enjoy|prefer|hate|dislike) ([^.!?;]+)", re.I
)
_SAYS_BELONGING = re.compile(
    r"\bmy ([a-z ]{2,30}?)(?:'s name)? is (?:called |named )?([^.!?;,]+)", re.I
)
_SAYS_NOTE = re.compile(r"\b(?:remember|don't forget) that ([^.!?]+)", re.I)
_SWAPS = {"i": "you", "i'm": "you're", "i've": "you've", "i'll": "you'll", "i'd": "you'd"} | {
    "me": "you", "my": "your", "mine": "yours", "myself": "yourself", "am": "are",
}  # fmt: skip
_NOT_NAMES = {"sorry", "fine", "good", "great", "okay", "ok", "happy", "sad", "tired", "bored"}
_NOT_BELONGINGS = re.compile(r"name$|^(?:question|point|problem|answer|idea|guess|bad)$", re.I)


def facts_of(messages: Sequence[Message]) -> Facts:
    """Facts told by the application, in system or developer messages, and by the user.

    The application writes "You are Mira" about the agent, and about the user "name: Ada.
    preferences: likes tea."; what comes later in the conversation wins.
    """
    facts = Facts()
    for message in messages:
        if message.role in ("system", "developer"):
            _take_told(facts, message.text)
        elif message.role == "user":
            _take_said(facts, message.text)
    return facts


def second_person(phrase: str) -> str:
    """The user's words turned towards the user: "my tea" becomes "your tea"."""
    return " ".join(_SWAPS.get(word.lower(), word) for word in phrase.strip().split())


def _take_told(facts: Facts, text: str) -> None:
    if match := _TOLD_AGENT.search(text):
        facts.agent = match[1]
    if match := _TOLD_NAME.search(text):
        facts.name = match[1].strip()
    if match := _TOLD_PREFERENCES.search(text):
        told = re.sub(r"[][{}'\"]", "", match[1])
        for phrase in re.split(r"[;,.]\s*|\s+and\s+(?=\w+s\b)", told):
            _take_preference(facts, phrase.strip())


def _take_preference(facts: Facts, phrase: str) -> None:
    thing, colon, value = phrase.partition(":")
    verb, _, rest = phrase.partition(" ")
    if colon and value.strip():
        facts.belongings[thing.strip().lower()] = value.strip()
    elif rest and verb.lower() in _THIRD_PERSON:
        _add(facts.likes, f"{_THIRD_PERSON[verb.lower()]} {rest}")
    elif phrase:
        _add(facts.likes, f"prefer {phrase}")


def _take_said(facts: Facts, text: str) -> None:
    if text.rstrip().endswith("?"):
        return
    match = _SAYS_NAME.search(text)
    if match and (match[1] or match[2]).lower() not in _NOT_NAMES:
        name = match[1] or match[2]
        facts.name = name[:1].upper() + name[1:]
    for verb, what in _SAYS_LIKE.findall(text):
        _add(facts.likes, f"{verb.lower()} {second_person(what)}")
    for thing, value in _SAYS_BELONGING.findall(text):
        if not _NOT_BELONGINGS.search(thing.strip()):
            facts.belongings[thing.strip().lower()] = second_person(value)
    if match := _SAYS_NOTE.search(text):
        _add(facts.notes, second_person(match[1]))


def _add(known: list[str], phrase: str) -> None:
    if phrase not in known:
        known.append(phrase)
