"""What the scripted brain answers: a conversation in, the next reply out, nothing kept.

A reply depends on the messages, the seed and the time alone, so that any reply of the past
can be worked out again, which is how an interrupted one is continued.
"""

import itertools
import random
import re
from collections.abc import Callable, Sequence
from datetime import datetime
from functools import cached_property

from offline.arithmetic import answer_sum, counting, number, spoken
from offline.conversation import Facts, Message, facts_of
from offline.intents import QUESTION, clean, recognise
from offline.phrases import STORIES, VARIANTS

LONGEST_LOOK_BACK = 20
"""How many of the user's turns back an interrupted reply is looked for."""


def reply(messages: Sequence[Message], *, seed: int, now: datetime) -> str:
    """The next thing to say.

    Args:
        messages: the conversation so far, oldest first.
        seed: chooses among ways to say the same.
        now: local time, for those who ask.
    """
    script = _Script([_as_meant(message) for message in messages], seed, now)
    return script.reply_after(len(messages))


class _Script:
    """A conversation and the replies in it that have been worked out so far."""

    def __init__(self, messages: Sequence[Message], seed: int, now: datetime) -> None:
        self.messages = messages
        self.seed = seed
        self.now = now
        self.user_turns = [i for i, message in enumerate(messages) if message.role == "user"]
        self.intents = [recognise(messages[i].text)[0] for i in self.user_turns]
        self._replies: dict[int, str] = {}

    def reply_after(self, count: int) -> str:
        """The reply to the first `count` messages."""
        if count not in self._replies:
            self._replies[count] = _answer(_Turn(self, count))
        return self._replies[count]


class _Turn:
    """The messages up to one of the user's, and what an answer to it may need."""

    def __init__(self, script: _Script, count: int) -> None:
        self.script = script
        self.messages = script.messages[:count]
        self.user_texts = [clean(m.text) for m in self.messages if m.role == "user"]

    @cached_property
    def facts(self) -> Facts:
        """What is known by now."""
        return facts_of(self.messages)

    def pick(self, intent: str, variants: Sequence[str]) -> str:
        """One of the variants: all are used before one comes again."""
        earlier = self.script.intents[: max(len(self.user_texts) - 1, 0)].count(intent)
        start = random.Random(f"{self.script.seed}:{intent}").randrange(len(variants))
        return variants[(start + earlier) % len(variants)]

    def say(self, intent: str, **values: str) -> str:
        """A reply of `VARIANTS`, with the names and other values filled in."""
        name = f", {self.facts.name}" if self.facts.name else ""
        me = f"{self.facts.agent}, a talking avatar" if self.facts.agent else "a talking avatar"
        return self.pick(intent, VARIANTS[intent]).format(name=name, me=me, **values)


def _answer(turn: _Turn) -> str:
    if not turn.user_texts:
        return turn.say("introduction")
    if _asked_to_begin(turn.messages[-1]):
        return turn.say("greeting")
    intent, match = recognise(turn.user_texts[-1])
    answer = _ANSWERS.get(intent)
    said = answer(turn, match) if answer and match else ""
    return said or turn.say(intent if intent in VARIANTS else QUESTION)


def _as_meant(message: Message) -> Message:
    """Facts that the application puts in the user's mouth are the application's."""
    if message.role == "user" and re.match(r"\s*about the user\b", message.text, re.I):
        return Message("developer", message.text)
    return message


def _asked_to_begin(message: Message) -> bool:
    """Whether the application, not the user, wants a greeting now."""
    return message.role in ("system", "developer") and bool(
        re.search(r"\b(?:greet|say hello|introduce yourself)", message.text, re.I)
    )


def _told_name(turn: _Turn, match: "re.Match[str]") -> str:
    name = turn.facts.name
    return turn.pick(
        "told_name",
        (
            f"Nice to meet you, {name}! I'll remember your name while we talk. "
            "What would you like to do?",
            f"Hello, {name}! That's a name I like to say. Shall I tell you what I can do?",
        ),
    )


def _asks_name(turn: _Turn, match: "re.Match[str]") -> str:
    if turn.facts.name:
        return f"Your name is {turn.facts.name}. I would not forget that so quickly."
    return "You have not told me yet. Say: my name is, and then your name."


def _asks_likes(turn: _Turn, match: "re.Match[str]") -> str:
    likes = turn.facts.likes
    if not likes:
        return "You have not told me what you like yet. Tell me, and ask me again later."
    return f"I know that you {_list_of(likes)}. Did I get that right?"


def _asks_everything(turn: _Turn, match: "re.Match[str]") -> str:
    known = turn.facts.sentences()
    if not known:
        return (
            "Nothing at all yet, not even your name. "
            "Tell me what you are called or what you like, and I will remember it while we talk."
        )
    return f"Let me see. {' '.join(known)} That is all I know about you."


def _asks_belonging(turn: _Turn, match: "re.Match[str]") -> str:
    thing = re.sub(r"(?:'s)? name$", "", match[1].strip().lower())
    value = turn.facts.belongings.get(thing)
    if value:
        return f"Your {thing} is {value}. You told me so yourself."
    return f"You have not told me about your {thing}. Tell me, and I'll remember it."


def _noted(turn: _Turn, match: "re.Match[str]") -> str:
    said = facts_of([Message("user", turn.user_texts[-1])]).sentences()
    if not said:
        return turn.say("statement")
    fact = said[-1].rstrip(".")
    return turn.say("noted", fact=fact[:1].lower() + fact[1:])


def _tells_time(turn: _Turn, match: "re.Match[str]") -> str:
    return (
        f"It is {_clock(turn.script.now)} on this machine's clock. Time flies when one is talking."
    )


def _tells_date(turn: _Turn, match: "re.Match[str]") -> str:
    day = turn.script.now
    return f"Today is {day:%A}, the {_ordinal(day.day)} of {day:%B}, {day.year}."


def _adds_up(turn: _Turn, match: "re.Match[str]") -> str:
    return answer_sum(match[1], match[2], match[3])


def _takes_root(turn: _Turn, match: "re.Match[str]") -> str:
    value = number(match[1])
    if value is None or not 0 <= value <= 1e9:
        return ""
    root = value**0.5
    about = "" if root == round(root, 2) else "about "
    return f"The square root of {spoken(value)} is {about}{spoken(root)}."


def _counts(turn: _Turn, match: "re.Match[str]") -> str:
    down, first_text, last_text = match[1], match[2], match[3]
    bound = number(last_text) if last_text else None
    first = number(first_text) if first_text else None
    if down and not last_text:
        first, bound = (10.0 if first is None else first), 0.0
    elif down:
        first, bound = (10.0 if first is None else first), (0.0 if bound is None else bound)
    else:
        first, bound = (1.0 if first is None else first), (10.0 if bound is None else bound)
    if max(abs(first), abs(bound)) > 1_000_000:
        return "That would take me the rest of my life. Let us try a smaller number."
    return f"Here we go. {counting(int(first), int(bound))}"


def _repeats(turn: _Turn, match: "re.Match[str]") -> str:
    said = match[1].strip(" \"'")
    return said[:1].upper() + said[1:] + ("" if said[-1:] in ".!?" else ".") if said else ""


def _what_user_said(turn: _Turn, match: "re.Match[str]") -> str:
    earlier = [text.rstrip(".!?") for text in turn.user_texts[:-1]]
    if not earlier:
        return "This is the first thing you have said to me, so there is nothing before it."
    before = f" And before that: {earlier[-2]}." if len(earlier) > 1 else ""
    return f"Just now you said: {earlier[-1]}.{before}"


def _what_bot_said(turn: _Turn, match: "re.Match[str]") -> str:
    said = [message.text for message in turn.messages if message.role == "assistant"]
    return f"I said: {said[-1]}" if said else "I have not said anything yet."


def _continues(turn: _Turn, match: "re.Match[str]") -> str:
    return _unspoken_rest(turn) or turn.say("nothing_left")


def _unspoken_rest(turn: _Turn) -> str:
    """The rest of the latest interrupted reply, from the start of the sentence that was cut."""
    script = turn.script
    users = [i for i in script.user_turns[-LONGEST_LOOK_BACK:] if i < len(turn.messages)]
    for index, following in reversed(list(itertools.pairwise(users))):
        heard = " ".join(m.text for m in turn.messages[index:following] if m.role == "assistant")
        heard_words = re.findall(r"\w+", heard)
        whole = script.reply_after(index + 1)
        words = list(re.finditer(r"\w+", whole))
        begun = heard_words == [word[0] for word in words[: len(heard_words)]]
        if begun and len(heard_words) < len(words):
            cut = words[len(heard_words)].start()
            ends = [end.end() for end in re.finditer(r"[.!?]\s+", whole) if end.end() <= cut]
            return whole[ends[-1] if ends else 0 :]
    return ""


def _tells_story(turn: _Turn, match: "re.Match[str]") -> str:
    return turn.pick("story", STORIES)


def _list_of(phrases: Sequence[str]) -> str:
    if len(phrases) == 1:
        return phrases[0]
    return f"{', '.join(phrases[:-1])} and {phrases[-1]}"


def _clock(time: datetime) -> str:
    return f"{time.hour % 12 or 12}:{time:%M} {'in the morning' if time.hour < 12 else _half(time)}"


def _half(time: datetime) -> str:
    return "in the afternoon" if time.hour < 18 else "in the evening"


def _ordinal(day: int) -> str:
    suffix = "th" if 10 <= day % 100 <= 20 else {1: "st", 2: "nd", 3: "rd"}.get(day % 10, "th")
    return f"{day}{suffix}"


_Answer = Callable[[_Turn, "re.Match[str]"], str]
_ANSWERS: dict[str, _Answer] = {
    "repeat": _repeats,
    "bot_said": _what_bot_said,
    "user_said": _what_user_said,
    "continue": _continues,
    "root": _takes_root,
    "sum": _adds_up,
    "count": _counts,
    "asks_name": _asks_name,
    "asks_everything": _asks_everything,
    "asks_likes": _asks_likes,
    "told_name": _told_name,
    "asks_belonging": _asks_belonging,
    "story": _tells_story,
    "time": _tells_time,
    "date": _tells_date,
    "noted": _noted,
}
