"""The scripted brain's answers: a conversation in, a sentence out."""

from datetime import datetime

import pytest

from offline.arithmetic import answer_sum, counting, number
from offline.conversation import Message, facts_of
from offline.intents import QUESTION, STATEMENT, recognise
from offline.phrases import STORIES, VARIANTS
from offline.replies import reply

NOW = datetime(2026, 3, 2, 15, 4)
ABOUT_ADA = Message("system", "About the user: name: Ada. preferences: likes tea.")


def answer(*said: str, before: tuple[Message, ...] = (), seed: int = 0) -> str:
    """The reply to the last of the user's sentences, each earlier one answered in full."""
    return conversation(*said, before=before, seed=seed)[-1].text


def conversation(
    *said: str, before: tuple[Message, ...] = (), seed: int = 0, now: datetime = NOW
) -> list[Message]:
    messages = list(before)
    for text in said:
        messages.append(Message("user", text))
        messages.append(Message("assistant", reply(messages, seed=seed, now=now)))
    return messages


@pytest.mark.parametrize(
    ("text", "intent"),
    [
        ("Hello!", "greeting"),
        ("Good morning.", "greeting"),
        ("My name is Bob.", "told_name"),
        ("I'm Alice.", "told_name"),
        ("What’s my name?", "asks_name"),
        ("Do you remember who I am?", "asks_name"),
        ("What do I like?", "asks_likes"),
        ("What do you know about me?", "asks_everything"),
        ("What can you do?", "capabilities"),
        ("So how do you work?", "how_it_works"),
        ("Could you tell me a story, please?", "story"),
        ("Tell me another joke.", "joke"),
        ("Count to ten.", "count"),
        ("Can you repeat after me: red lorry", "repeat"),
        ("Say that again.", "bot_said"),
        ("What did I say before?", "user_said"),
        ("What time is it?", "time"),
        ("What's the date?", "date"),
        ("What is seven times eight?", "sum"),
        ("The square root of 81, please", "root"),
        ("I'm fine, thanks.", "mood_good"),
        ("Thank you very much.", "thanks"),
        ("Okay, bye!", "goodbye"),
        ("Wait.", "hold"),
        ("Stop it, please.", "hold"),
        ("Wait, what's my name?", "asks_name"),
        ("Go on.", "continue"),
        ("And then?", "continue"),
        ("Are you a robot?", "identity"),
        ("What is your name?", "identity"),
        ("The office is open 24/7.", STATEMENT),
        ("My number is 555-1234 I think", "noted"),
        ("The moon is nice tonight", STATEMENT),
        ("Where is Paris?", QUESTION),
        ("", STATEMENT),
    ],
)
def test_intent(text: str, intent: str) -> None:
    assert recognise(text)[0] == intent


def test_greeting_without_user_introduces_the_agent_and_knows_the_user() -> None:
    messages = [Message("system", "You are Mira, a friendly assistant."), ABOUT_ADA]
    said = reply(messages, seed=0, now=NOW)
    assert "Mira" in said and "Ada" in said


@pytest.mark.parametrize(
    "told",
    [
        Message("developer", "About the user: name: Ada. preferences: likes tea."),
        Message("user", "About the user: name: Ada. preferences: likes tea."),
        Message("system", "user_name=Ada; it matters.\nPreferences: likes tea"),
        Message("system", "Name: Ada\npreferences: ['likes tea']"),
    ],
)
def test_facts_told_by_the_application(told: Message) -> None:
    if told.text.startswith("user_name"):
        told = Message(told.role, told.text.replace("user_name", "user name"))
    assert "Ada" in answer("What's my name?", before=(told,))
    assert "like tea" in answer("What do I like?", before=(told,))


def test_preferences_are_turned_towards_the_user() -> None:
    facts = facts_of(
        [Message("system", "preferences: likes cats; prefers short answers, jazz; language: en.")]
    )
    assert facts.likes == ["like cats", "prefer short answers", "prefer jazz"]
    assert facts.belongings == {"language": "en"}


def test_the_agents_name_is_not_the_users() -> None:
    facts = facts_of([Message("system", "Your name: Max. You help people.")])
    assert (facts.agent, facts.name) == ("Max", "")


def test_user_tells_a_name_and_it_wins() -> None:
    assert "Bob" in answer("Hi, my name is Bob.", "What's my name?", before=(ABOUT_ADA,))


def test_user_facts_are_remembered() -> None:
    said = ("My dog's name is Rex.", "I love my garden.", "Remember that I parked in row nine.")
    assert "Rex" in answer(*said, "What's my dog's name?")
    everything = answer(*said, "What do you know about me?")
    assert "You love your garden." in everything
    assert "You parked in row nine." in everything


def test_feelings_are_not_names() -> None:
    assert facts_of([Message("user", "I'm Sorry")]).name == ""
    assert facts_of([Message("user", "Is my name Bob?")]).name == ""


def test_what_was_said_before() -> None:
    said = answer("Tell me a joke.", "What did I say before?")
    assert "Tell me a joke" in said
    assert answer("Count to three.", "Say that again.") == "I said: Here we go. 1, 2, 3."


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("What's seven times eight?", "7 times 8 is 56."),
        ("two hundred and five minus six", "205 minus 6 is 199."),
        ("10 divided by 4", "10 divided by 4 is 2.5."),
        ("1 divided by 3", "1 divided by 3 is about 0.33."),
        ("What is the square root of 2?", "The square root of 2 is about 1.41."),
        ("Count down from five", "Here we go. 5, 4, 3, 2, 1, 0."),
        ("count from three to six", "Here we go. 3, 4, 5, 6."),
        ("Repeat after me: the quick brown fox", "The quick brown fox."),
        ("What's today's date?", "Today is Monday, the 2nd of March, 2026."),
    ],
)
def test_exact_answers(text: str, said: str) -> None:
    assert answer(text) == said


def test_time_of_day() -> None:
    assert "3:04 in the afternoon" in answer("What time is it?")


def test_sums_that_have_no_answer() -> None:
    assert "zero" in answer("5 divided by 0")
    assert "too big" in answer("9999999999 times 9999999999")
    assert answer_sum("lots", "plus", "more") == ""


def test_numbers_in_words() -> None:
    assert [number(text) for text in ("forty-two", "two hundred and five", "1,234", "3.5")] == [
        42, 205, 1234, 3.5,
    ]  # fmt: skip
    assert number("three thousand and one") == 3001
    assert number("potato") is None


def test_counting_stops_somewhere() -> None:
    heard = counting(1, 1_000_000)
    assert heard.count(",") < 110 and "1000000" in heard
    assert "smaller" in answer("Count to 99999999")


def test_replies_vary_until_all_are_used() -> None:
    jokes = [m.text for m in conversation(*["Tell me a joke."] * 5) if m.role == "assistant"]
    assert len(set(jokes)) == len(VARIANTS["joke"]) == 5
    lost = [m.text for m in conversation("Blue.", "Green.", "Red.") if m.role == "assistant"]
    assert len(set(lost)) == 3


def test_reply_depends_on_seed_and_context_alone() -> None:
    assert answer("Tell me a joke.", seed=3) == answer("Tell me a joke.", seed=3)
    assert len({answer("Tell me a joke.", seed=seed) for seed in range(20)}) > 2


def test_fallback_does_not_echo() -> None:
    assert "zorp" not in answer("zorp blib blub").lower()


def test_stories_are_long_and_answers_short() -> None:
    for story in STORIES:
        assert story.count(". ") >= 14
    for variants in VARIANTS.values():
        for said in variants:
            assert 1 <= len([end for end in said if end in ".!?"]) <= 7


def test_interrupted_story_goes_on_where_it_was_cut() -> None:
    messages = [Message("user", "Tell me a story.")]
    story = reply(messages, seed=0, now=NOW)
    heard = " ".join(story.split()[:60])
    messages.append(Message("assistant", heard))
    messages += conversation("Wait.", "Who are you?")
    messages.append(Message("user", "Go on."))
    rest = reply(messages, seed=0, now=NOW)
    assert story.endswith(rest)
    overlap = len(heard) + len(rest) - len(story)
    sentence_start = len(story) - len(rest)
    assert overlap >= 0, "nothing is left out"
    assert story[sentence_start - 2] in ".!?", "it goes on at the start of a sentence"
    assert ". " not in rest[:overlap], "no more than the cut sentence is said again"


def test_interrupted_twice() -> None:
    messages = [Message("user", "Tell me a story.")]
    story = reply(messages, seed=0, now=NOW)
    messages.append(Message("assistant", " ".join(story.split()[:40])))
    messages.append(Message("user", "Go on."))
    rest = reply(messages, seed=0, now=NOW)
    messages.append(Message("assistant", " ".join(rest.split()[:40])))
    messages.append(Message("user", "Go on!"))
    rest_of_rest = reply(messages, seed=0, now=NOW)
    assert rest.endswith(rest_of_rest) and len(rest_of_rest) < len(rest)


def test_nothing_to_go_on_with() -> None:
    assert answer("Hello", "Go on") in VARIANTS["nothing_left"]


def test_many_turns_are_answered_quickly() -> None:
    messages = [Message("user", "Go on.")] * 400
    assert reply(messages, seed=0, now=NOW)
