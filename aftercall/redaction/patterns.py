"""Alternations of many words, arranged so that the regular expression engine tries few of them at each character."""


def any_of(words: str) -> str:
    r"""The alternation `words`, grouped by first letter: `pin|puk|tan` becomes `(?:p(?:in|uk)|tan)`.

    A group that a word begins with is written out; words that begin with something else stay as they are.
    """
    groups: dict[str, list[str]] = {}
    others: list[str] = []
    for word in _expand(words):
        head = r"\b" if word.startswith(r"\b") else ""
        letter, rest = word[len(head) : len(head) + 1], word[len(head) + 1 :]
        if letter.isalpha() and not rest.startswith(("?", "*", "{")):
            groups.setdefault(head + letter, []).append(rest)
        else:
            others.append(word)
    grouped = [f"{letter}(?:{'|'.join(rests)})" for letter, rests in groups.items()]
    return f"(?:{'|'.join([*others, *grouped])})"


def lower(text: str) -> str:
    """The text in small letters, character for character, so that places in it stay the same.

    Searched without regard to case, a pattern loses the engine's quick way to its first letter.
    """
    lowered = text.lower()
    if len(lowered) == len(text):
        return lowered
    return "".join(small if len(small := character.lower()) == 1 else character for character in text)


def _expand(words: str) -> list[str]:
    expanded: list[str] = []
    for word in _split(words):
        end = _end_of_group(word) if word.startswith("(?:") else 0
        if end and not word[end:].startswith(("?", "*", "{", "+")):
            expanded += (start + word[end:] for start in _expand(word[3 : end - 1]))
        else:
            expanded.append(word)
    return expanded


def _split(words: str) -> list[str]:
    """At the bars that stand in no group."""
    parts, depth = [""], 0
    for character in words:
        depth += {"(": 1, ")": -1}.get(character, 0)
        if character == "|" and not depth:
            parts.append("")
        else:
            parts[-1] += character
    return parts


def _end_of_group(word: str) -> int:
    depth = 0
    for place, character in enumerate(word, start=1):
        depth += {"(": 1, ")": -1}.get(character, 0)
        if not depth:
            return place
    return 0
