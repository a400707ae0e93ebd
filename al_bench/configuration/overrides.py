"""The two parts of a word that sets a key, as in ``+budget.total=30``: its key and its value."""


def key_of(word: str) -> str:
    """``budget.total``: the key that the word sets, or takes away by ``~budget.total``."""
    return word.lstrip("+~").partition("=")[0]


def value_of(word: str) -> str:
    """``30``: the text of the value; empty where there is none."""
    return word.partition("=")[2]
