"""What nobody is shown: arguments that a job names in `redact`, in a run and in what an execution leaves behind."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any, Self

if TYPE_CHECKING:
    import inspect
    from collections.abc import Collection, Iterator, Mapping, Sequence

MASK = "***"
"""What is shown instead."""

SHORTEST = 4
"""How many characters a text has at least that is looked for in what an execution leaves: less would be anywhere."""

_CUT = re.compile(r"(\n… [\d,]+ (?:characters|bytes of output) cut …\n|…)")


def redacted_of(
    signature: inspect.Signature, names: Collection[str], args: Sequence[Any], kwargs: Mapping[str, Any]
) -> tuple[int | str, ...]:
    """Give the positions and the names of those arguments that belong to the parameters called `names`.

    The name of `*args` stands for all further ones by position, that of `**kwargs` for all others by name.
    """
    if not names:
        return ()
    positional = [each.name for each in signature.parameters.values() if each.kind.name.startswith("POSITIONAL")]
    rest = next((each.name for each in signature.parameters.values() if each.kind.name == "VAR_POSITIONAL"), "")
    others = next((each.name for each in signature.parameters.values() if each.kind.name == "VAR_KEYWORD"), "")
    places = [place for place in range(len(args)) if (positional[place] if place < len(positional) else rest) in names]
    hidden = [name for name in kwargs if name in names or (others in names and name not in signature.parameters)]
    return (*places, *hidden)


def shown(
    args: Sequence[Any], kwargs: Mapping[str, Any], redacted: Collection[int | str]
) -> tuple[tuple[Any, ...], dict[str, Any]]:
    """Give arguments as they may be shown: `"***"` for those that are `redacted`, by position and by name."""
    if not redacted:
        return tuple(args), dict(kwargs)
    hidden = frozenset(redacted)  # there may be as many as there are arguments
    return (
        tuple(MASK if place in hidden else value for place, value in enumerate(args)),
        {name: MASK if name in hidden else value for name, value in kwargs.items()},
    )


def repr_without_arguments(record: Any) -> str:
    """Write a named tuple as `repr` does, but for its arguments: who logs one by mistake tells nobody's secrets."""
    fields = (f"{name}={'…' if name in _ARGUMENTS else repr(value)}" for name, value in record._asdict().items())
    return f"{type(record).__name__}({', '.join(fields)})"


_ARGUMENTS = frozenset({"args", "kwargs", "written"})


class Mask:
    """Replaces secrets in text, also as Python and JSON write them, and the parts of them that a cut has left."""

    __slots__ = ("_pattern", "_texts")

    def __init__(self, texts: Collection[str]) -> None:
        """Take the secrets."""
        self._texts = sorted({form for text in texts for form in _forms(text)}, key=len, reverse=True)
        self._pattern = re.compile("|".join(map(re.escape, self._texts)))

    @classmethod
    def of(cls, args: Sequence[Any], kwargs: Mapping[str, Any], redacted: Collection[int | str]) -> Self | None:
        """Make one for the texts in redacted arguments, which are JSON; None where there is nothing to look for."""
        hidden = frozenset(redacted)
        values = [value for place, value in enumerate(args) if place in hidden]
        values += [value for name, value in kwargs.items() if name in hidden]
        texts = {text for value in values for text in _texts_in(value) if len(text) >= SHORTEST}
        return cls(texts) if texts else None

    def hide(self, text: str) -> str:
        """Give a text without the secrets, and without what is left of one beside an ellipsis that tells of a cut."""
        text = self.replace(text)
        if "…" not in text:
            return text
        parts = _CUT.split(text)  # every second one is such an ellipsis
        for place in range(1, len(parts), 2):
            parts[place - 1] = self.hide_end(parts[place - 1])
            if len(parts[place]) > 1:
                parts[place + 1] = self.hide_beginning(parts[place + 1])
        return "".join(parts)

    def replace(self, text: str) -> str:
        """Give a text without the secrets that are whole in it."""
        return self._pattern.sub(MASK, text)

    def hide_end(self, text: str) -> str:
        """Give a text without the beginning of a secret that it ends with."""
        for secret in self._texts:
            begin = max(0, len(text) - len(secret) + 1)
            while (begin := text.find(secret[:SHORTEST], begin)) >= 0:
                if secret.startswith(text[begin:]):
                    return text[:begin] + MASK
                begin += 1
        return text

    def hide_beginning(self, text: str) -> str:
        """Give a text without the end of a secret that it begins with."""
        for secret in self._texts:
            end = min(len(text), len(secret) - 1)
            while (place := text.rfind(secret[-SHORTEST:], 0, end)) >= 0:
                end = place + SHORTEST
                if secret.endswith(text[:end]):
                    return MASK + text[end:]
                end -= 1
        return text


def _forms(text: str) -> Iterator[str]:
    yield text
    yield repr(text)[1:-1]
    yield json.dumps(text)[1:-1]
    yield json.dumps(text, ensure_ascii=False)[1:-1]


def _texts_in(value: Any) -> Iterator[str]:
    """Give the texts in a JSON value, but for the names in its objects, which are no secrets."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, list | tuple):
        for item in value:
            yield from _texts_in(item)
    elif isinstance(value, dict):
        for item in value.values():
            yield from _texts_in(item)
