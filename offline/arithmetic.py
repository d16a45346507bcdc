"""Numbers in speech: words to values, small sums, and counting."""

import re

_UNITS = [
    "zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten",
    "eleven", "twelve", "thirteen", "fourteen", "fifteen", "sixteen", "seventeen", "eighteen",
    "nineteen",
]  # fmt: skip
_TENS = ["twenty", "thirty", "forty", "fifty", "sixty", "seventy", "eighty", "ninety"]
_VALUES = {word: value for value, word in enumerate(_UNITS)} | {
    word: 20 + 10 * tens for tens, word in enumerate(_TENS)
}
_NUMBER_WORD = "|".join([*_VALUES, "hundred", "thousand"])
NUMBER = rf"(-?\b\d[\d,]*(?:\.\d+)?|\b(?:{_NUMBER_WORD})(?:[ -](?:and )?(?:{_NUMBER_WORD}))*\b)"
"""Regular expression of one number, in digits or words."""

_OPERATIONS = {
    "plus": "+", "+": "+", "minus": "-", "less": "-", "-": "-", "times": "*",
    "multiplied by": "*", "x": "*", "*": "*", "×": "*", "divided by": "/", "over": "/", "/": "/",
    "÷": "/",
}  # fmt: skip
_SPOKEN = {"+": "plus", "-": "minus", "*": "times", "/": "divided by"}
_OPERATOR = "|".join(re.escape(word) for word in sorted(_OPERATIONS, key=len, reverse=True))
SUM = rf"{NUMBER}(\s+(?:{_OPERATOR})\s+|[+*×÷]){NUMBER}"
"""Regular expression of two numbers and an operation: three groups."""


def number(text: str) -> float | None:
    """The value of a number in digits or words, None if it is neither."""
    text = text.strip().lower().replace(",", "")
    if re.fullmatch(r"-?\d+(\.\d+)?", text):
        return float(text)
    total, part, seen = 0, 0, False
    for word in re.findall(r"[a-z]+", text):
        if word in _VALUES:
            part += _VALUES[word]
        elif word == "hundred":
            part = max(part, 1) * 100
        elif word == "thousand":
            total, part = total + max(part, 1) * 1000, 0
        elif word != "and":
            return None
        seen = True
    return float(total + part) if seen else None


def spoken(value: float) -> str:
    """A number as text for the voice: whole if it is, else at most two decimals."""
    rounded = round(value, 2)
    return str(int(rounded)) if rounded == int(rounded) else f"{rounded:g}"


def answer_sum(left_text: str, operator_text: str, right_text: str) -> str:
    """The answer to a sum as a sentence, for the three groups of `SUM`; "" if it is none."""
    left, right = number(left_text), number(right_text)
    operator = _OPERATIONS.get(operator_text.lower().strip())
    if left is None or right is None or operator is None:
        return ""
    if max(abs(left), abs(right)) > 1e9:
        return "Those numbers are too big for my head. Try something smaller."
    if operator == "/" and right == 0:
        return "Dividing by zero is where even I have to stop. There is no answer to that one."
    if operator == "+":
        result = left + right
    elif operator == "-":
        result = left - right
    elif operator == "*":
        result = left * right
    else:
        result = left / right
    exact = abs(round(result, 2) - result) < 1e-9
    question = f"{spoken(left)} {_SPOKEN[operator]} {spoken(right)}"
    return f"{question} is {'' if exact else 'about '}{spoken(result)}."


def counting(first: int, last: int, longest: int = 100) -> str:
    """The numbers from first to last as sentences of ten, upwards or down."""
    step = 1 if last >= first else -1
    numbers = list(range(first, last + step, step))
    heard = numbers[:longest]
    lines = [", ".join(map(str, heard[start : start + 10])) for start in range(0, len(heard), 10)]
    text = ". ".join(lines) + "."
    if len(numbers) > longest:
        return f"{text} And so on. I would rather stop there than count all the way to {last}."
    return text
