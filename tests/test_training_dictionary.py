"""The pronouncing dictionary is built the same way each time."""

import gzip
from pathlib import Path

import pytest

from training.dictionary import build, phones_of

SOURCE = """\
a AH
a(2) EY
about AH B AW T
bob B AA B
bob's B AA B Z
a.m. EY EH M
's EH S
cut K AH T
ways W EY Z
ways(2) W AY Z
ways(3) W AO Z
ways(4) W UW Z
ways(5) W IY Z
"""


def test_the_file(tmp_path: Path) -> None:
    source, out = tmp_path / "source.dict", tmp_path / "words.txt.gz"
    source.write_text(SOURCE)
    assert build(source, out) == 6
    lines = gzip.decompress(out.read_bytes()).decode().splitlines()
    assert "Carnegie Mellon University" in lines[0]
    phones = lines[1].removeprefix("# phones: ").split(" ")
    words = [line.split("\t")[0] for line in lines]
    assert words[2:] == ["'s", "a", "about", "bob", "cut", "ways"]
    assert words == sorted(words)
    ways = lines[-1].split("\t")[1].split(";")
    assert len(ways) == 4
    letters = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
    assert [phones[letters.index(sign)] for sign in ways[0]] == ["w", "eh", "ih", "z"]


def test_the_same_source_gives_the_same_bytes(tmp_path: Path) -> None:
    source = tmp_path / "source.dict"
    source.write_text(SOURCE)
    build(source, tmp_path / "one")
    build(source, tmp_path / "two")
    assert (tmp_path / "one").read_bytes() == (tmp_path / "two").read_bytes()


def test_a_file_without_words_is_refused(tmp_path: Path) -> None:
    (tmp_path / "empty").write_text("nothing here\n")
    with pytest.raises(ValueError, match="no word"):
        build(tmp_path / "empty", tmp_path / "out")
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("word", "names", "phones"),
    [
        ("the", "DH AH", "dh ax"),
        ("of", "AH V", "ax v"),
        ("and", "AH N D", "ax n d"),
        ("cut", "K AH T", "k ah t"),
        ("about", "AH B AW T", "ax b aa uh t"),
        ("bubble", "B AH B AH L", "b ah b ax l"),
        ("what", "W AH T", "w ah t"),
    ],
)
def test_weak_vowels(word: str, names: str, phones: str) -> None:
    assert " ".join(phones_of(word, names.split())) == phones
