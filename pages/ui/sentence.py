"""Words that become a sentence of their own on a page."""


def sentence(words: str) -> str:
    """The words, begun with a capital; not for those that begin with a name, which stays as it is."""
    return words[:1].upper() + words[1:]
