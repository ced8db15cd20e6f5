"""What a job prints and logs, kept in bounded memory and shown as it comes."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import codecs
    from collections.abc import Callable

HEAD = 64 * 1024
"""How many characters of the beginning are kept."""

TAIL = 192 * 1024
"""How many characters of the end are kept, at least."""

_NUL = "\0"


class Capture:
    """The output of one execution: the first and the last of it, however much there is. Any thread may write.

    One that nothing is written to costs next to nothing, since each execution has one.
    """

    __slots__ = ("_decoder", "_head", "_lock", "_partial", "_sink", "_tail", "_tail_size", "_tenant", "_total")

    def __init__(self, tenant: str | None = None, sink: Callable[[str | None, str], None] | None = None) -> None:
        """Take the id of the `tenant` and the `sink` that is called with it and with whole lines, as they come.

        The sink is called in the thread that writes, and gets an unfinished last line, with a line end, at the close.
        """
        self._tenant = tenant
        self._sink = sink
        self._total = 0
        self._decoder: codecs.BufferedIncrementalDecoder | None = None
        self._lock = threading.Lock()

    def write(self, text: str) -> None:
        """Take some output."""
        if not text:
            return
        if _NUL in text:
            text = text.replace(_NUL, "\N{REPLACEMENT CHARACTER}")
        with self._lock:
            if not self._total:
                self._begin()
            self._keep(text)
            lines = "" if self._sink is None else self._whole_lines(text)
        if lines and self._sink is not None:
            self._sink(self._tenant, lines)

    def write_bytes(self, data: bytes | bytearray | memoryview) -> None:
        """Take some output as bytes, of which what isn't UTF-8 is replaced; a character may come in two writes."""
        with self._lock:
            if self._decoder is None:
                import codecs

                self._decoder = codecs.getincrementaldecoder("utf-8")("replace")
            text = self._decoder.decode(bytes(data))
        self.write(text)

    def close(self, limit: int) -> str | None:
        """Give the sink what it hasn't got yet, and give the kept text, as `text` does."""
        if not self._total:
            return None
        with self._lock:
            rest = "".join(self._partial)
            self._partial.clear()
        if rest and self._sink is not None:
            self._sink(self._tenant, rest + "\n")
        return self.text(limit)

    def text(self, limit: int) -> str | None:
        """Give the output in about `limit` bytes of UTF-8 at most, with a note of what was cut; None if there is none."""
        if not self._total:
            return None
        with self._lock:
            head, tail = "".join(self._head), "".join(self._tail)
            dropped = self._total - len(head) - len(tail)
        first, last = head.encode("utf-8", "replace"), tail.encode("utf-8", "replace")
        if not dropped and len(first) + len(last) <= limit:
            return (first + last).decode("utf-8")
        if not dropped:
            first, last = first + last, b""
        kept_first = first[: limit // 4]
        kept_last = (first + last)[-(limit - limit // 4) :]
        cut = dropped + len(first) + len(last) - len(kept_first) - len(kept_last)
        note = f"\n… {cut:,} bytes of output cut …\n"
        return kept_first.decode("utf-8", "ignore") + note + kept_last.decode("utf-8", "ignore")

    def _begin(self) -> None:
        self._head: list[str] = []
        self._tail: list[str] = []
        self._partial: list[str] = []
        self._tail_size = 0

    def _keep(self, text: str) -> None:
        room = HEAD - self._total
        self._total += len(text)
        if room > 0:
            self._head.append(text[:room])
            text = text[room:]
            if not text:
                return
        if len(text) > TAIL:
            text = text[-TAIL:]
        self._tail.append(text)
        self._tail_size += len(text)
        if self._tail_size > 2 * TAIL:  # seldom enough that a character is copied about once
            self._tail = ["".join(self._tail)[-TAIL:]]
            self._tail_size = TAIL

    def _whole_lines(self, text: str) -> str:
        end = text.rfind("\n") + 1
        if not end:
            self._partial.append(text)
            return ""
        lines = "".join([*self._partial, text[:end]])
        self._partial.clear()
        if end < len(text):
            self._partial.append(text[end:])
        return lines
