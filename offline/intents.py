"""What the user wants: something they said in, the name of an intent out."""

import re

from offline.arithmetic import NUMBER, SUM

QUESTION, STATEMENT = "question", "statement"
"""Intents of what is not understood."""

_START = r"^(?:(?:oh|so|and|but|okay|ok|well|please|now|hey|hi|hello|um|uh)[,. ]+)*"
_ASK = r"(?:(?:can|could|would|will) you (?:please )?)?"
_ASKS = re.compile(
    r"\?$|^(?:what|who|where|when|why|how|which|can|could|do|does|is|are|will|would)\b", re.I
)
_PATTERNS: list[tuple[str, "re.Pattern[str]"]] = [
    (intent, re.compile(pattern, re.I))
    for intent, pattern in [
        ("repeat", rf"{_START}{_ASK}(?:repeat after me|say after me|say this)[:,.]? +(.+)$"),
        ("repeat", rf"{_START}{_ASK}(?:repeat|say) (?:the words? |the sentence )[:,]? *(.+)$"),
        ("repeat", rf"{_START}{_ASK}say[:,] *(.+)$"),
        ("bot_said", r"\b(?:say|repeat) (?:that|it)(?: again)?\b|what did you (?:just )?say"
                     r"|(?:come again|pardon|i beg your pardon)\??$"),
        ("user_said", r"what (?:did|have) i (?:just )?(?:say|said|ask|tell)"
                      r"|what was i (?:just )?saying|what i said before"),
        ("continue", rf"{_START}(?:go on|continue|keep going|carry on|go ahead|finish (?:it|the "
                     r"story|your sentence)|what happened (?:then|next)|and then)\b"),
        ("hold", rf"{_START}(?:stop|wait|hold on|be quiet|quiet|shut up|enough|that's enough|"
                 r"pause|hang on|one moment|never mind)"
                 r"(?:,? (?:it|that|please|now|talking|here|a (?:moment|second|minute)))*[.!?]*$"),
        ("root", rf"square root of {NUMBER}"),
        ("sum", SUM),
        ("count", rf"\bcount (?:(back|backwards|down)(?:wards)? ?)?(?:from )?(?:{NUMBER})? ?"
                  rf"(?:up |down )?(?:to {NUMBER})?"),
        ("asks_name", r"what(?:'s| is) my name|do you (?:know|remember) (?:my name|who i am)"
                      r"|who am i\b"),
        ("asks_everything", r"what do you (?:know|remember) about me|tell me about (?:me|myself)"),
        ("asks_likes", r"what (?:do|did) i (?:say i )?(?:like|love|prefer|enjoy)|my preferences"
                       r"|what are my (?:likes|favou?rites)"),
        ("told_name", r"\bmy name(?:'s| is) (?!\?)\w|\bcall me \w|\bi(?:'m| am) called \w"),
        ("asks_belonging", r"(?:what|who|where)(?:'s| is| are) my ([a-z' ]+?)\??$"),
        ("story", r"\b(?:story|stories|fairy ?tale|tale)\b|talk for a (?:while|minute)"),
        ("joke", r"\bjokes?\b|make me laugh|something funny"),
        ("fact", r"\b(?:a|another|random|fun|strange|interesting) facts?\b"
                 r"|something interesting|tell me something"),
        ("poem", r"\bpoems?\b|\brhyme\b|\bsing\b|\bsong\b"),
        ("how_it_works", r"how (?:do|does|did) (?:you|this|it|your|that|they|all)\b.*"
                         r"(?:work|move|talk|speak|made|make|draw|done)|how are you made"
                         r"|behind the scenes|explain (?:yourself|how)|lip.?sync|look at how you"),
        ("capabilities", r"what (?:can|could|else can) (?:you|i)\b|what do you do\b|\bhelp\b"
                         r"|what are you able|your (?:skills|abilities)"),
        ("identity", r"(?:who|what) (?:are|r) you\b|your name\b|are you (?:a |an )?(?:real|robot|"
                     r"human|bot|person|ai|machine|alive)|who (?:made|built|created) you"),
        ("time", r"what(?:'s| is)? (?:the )?time|what time|the time\b.*\?$|tell me the time"),
        ("date", r"what(?:'s| is)? (?:the |today's )?(?:date|day)|what day|today's date"
                 r"|what year|which (?:day|month|year)"),
        ("weather", r"\bweather\b|\braining\b|\btemperature\b|\bforecast\b"),
        ("feelings", r"how are you|how(?:'s| is) it going|how do you (?:do|feel)|what's up\b"),
        ("noted", r"\bi (?:really |also |just |do )?(?:like|love|enjoy|prefer|hate|dislike) \w"
                  r"|\bmy [a-z ]+?(?:'s name)? is (?:called |named )?\w"
                  r"|\b(?:remember|don't forget) that \w"),
        ("mood_bad", r"\bi(?:'m| am) (?:not (?:so )?(?:good|well|great)|sad|tired|bored|lonely|"
                     r"ill|sick|stressed|angry|down)\b"),
        ("mood_good", r"\bi(?:'m| am) (?:very |so |really |quite )?(?:fine|good|well|great|happy|"
                      r"okay|ok)\b|^(?:good|great|fine|very well)[,. ]+(?:and )?(?:you|thank)"),
        ("goodbye", r"\b(?:bye|goodbye|good night|see you|farewell)\b|have to go\b|got to go\b"),
        ("thanks", r"\bthank(?:s| you)\b|\bcheers\b"),
        ("told_name", r"^(?:hi|hello|hey|yes|well)?[,.! ]*(?:there[,.! ]*)?"
                      r"(?:(?-i:I am|I'm|i am|i'm)|this is) (?-i:[A-Z])[\w'-]+[.!]*$"),
        ("greeting", rf"{_START}(?:hi|hello|hey|good (?:morning|afternoon|evening)|greetings)\b"
                     r"|^(?:hi|hello|hey)\b"),
        ("agreement", r"^(?:yes|yeah|yep|sure|okay|ok|of course|please|all right|alright)\b"),
        ("refusal", r"^(?:no|nope|nah|not (?:now|really))\b"),
    ]
]  # fmt: skip


def recognise(text: str) -> tuple[str, "re.Match[str] | None"]:
    """The intent of something the user said, and the match that showed it.

    Without a match the intent is QUESTION or STATEMENT: it was not understood.
    """
    cleaned = clean(text)
    for intent, pattern in _PATTERNS:
        if match := pattern.search(cleaned):
            return intent, match
    return (QUESTION if _ASKS.search(cleaned) else STATEMENT), None


def clean(text: str) -> str:
    """The text with single spaces and straight apostrophes."""
    return re.sub(r"\s+", " ", text.replace("\u2019", "'")).strip()
