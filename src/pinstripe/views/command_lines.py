"""Commands for copying into a shell: what a page or a message tells people to do, harmless whatever is in it."""

from __future__ import annotations


def command_line(*words: str, project: str | None = None) -> str:
    """Write a command for copying into a shell; `project` is what `--project` was given, if anything."""
    return " ".join(map(shell_word, ["pinstripe", *words, *(["--project", project] if project else [])]))


def shell_word(text: str) -> str:
    """Write a word for copying into a shell; one with control characters as `$'…'`, as bash, ksh and zsh read it."""
    import shlex

    if text.isprintable():
        return shlex.quote(text)
    return f"$'{''.join(map(_shell_character, text))}'"


def _shell_character(character: str) -> str:
    if character in "'\\":
        return f"\\{character}"
    if character.isprintable():
        return character
    code = ord(character)
    if 0xDC80 <= code <= 0xDCFF:  # noqa: PLR2004 - a byte that isn't UTF-8, as PEP 383 writes it
        return f"\\{code - 0xDC00:03o}"
    return f"\\{code:03o}" if code < 0x80 else f"\\U{code:08x}"  # noqa: PLR2004 - octal is a byte, not a character
