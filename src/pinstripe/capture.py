"""What one execution prints and logs, kept in bounded memory and shown as it comes."""

from __future__ import annotations

import asyncio
import threading
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import codecs
    from collections.abc import Callable

    from pinstripe.redaction import Mask

HEAD = 64 * 1024
"""How many characters of the beginning are kept."""

TAIL = 192 * 1024
"""How many characters of the end are kept, at least."""

MAX_WAITING = 256 * 1024
"""How many characters may wait to be shown, where a thread prints faster than the event loop can show it."""

_NOTE = 64
"""How many bytes of what is kept are for the note of what was cut."""

_NUL = "\0"


class Capture:
    """The output of one execution: the first and the last of it, however much there is. Any thread may write.

    One that nothing is written to costs next to nothing, since each execution has one.
    """

    __slots__ = (
        "_decoder",
        "_head",
        "_lock",
        "_partial",
        "_sink",
        "_tail",
        "_tail_size",
        "_tenant",
        "_total",
        "_unseen",
        "_waiting",
        "_waiting_size",
        "loop",
        "mask",
    )

    def __init__(self, tenant: str | None = None, sink: Callable[[str | None, str], None] | None = None) -> None:
        """Take the id of the `tenant` and the `sink` that is called with it and with whole lines, as they come.

        The sink is called on the thread of `loop`, once that is set, and gets an unfinished last line at the close.
        """
        self._tenant = tenant
        self._sink = sink
        self._total = 0
        self._decoder: codecs.BufferedIncrementalDecoder | None = None
        self._lock = threading.Lock()
        self.loop: asyncio.AbstractEventLoop | None = None
        self.mask: Mask | None = None
        """What hides what nobody is shown, once that is set; what is over several lines, only in what is kept."""

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
        if lines:
            self._show(lines)

    def keep(self, text: str) -> None:
        """Take some output that somebody else shows."""
        with self._lock:
            if not self._total:
                self._begin()
            self._keep(text.replace(_NUL, "\N{REPLACEMENT CHARACTER}"))

    def write_bytes(self, data: bytes | bytearray | memoryview) -> None:
        """Take some output as bytes, of which what isn't UTF-8 is replaced; a character may come in two writes."""
        with self._lock:
            if self._decoder is None:
                import codecs

                self._decoder = codecs.getincrementaldecoder("utf-8")("replace")
            text = self._decoder.decode(bytes(data))
        self.write(text)

    def close(self, limit: int) -> str | None:
        """Give the sink what it hasn't got yet, and give the kept text, as `text` does. Called on the loop's thread."""
        if self._decoder is not None:
            self.write(self._decoder.decode(b"", final=True))
        if not self._total:
            return None
        with self._lock:
            rest = "".join(self._partial)
            self._partial.clear()
        self._show_waiting()
        if rest and self._sink is not None:
            self._sink(self._tenant, self._hidden(rest) + "\n")
        return self.text(limit)

    def text(self, limit: int) -> str | None:
        """Give the output in at most `limit` bytes of UTF-8, a note of what was cut included; None if it is empty."""
        if not self._total:
            return None
        with self._lock:
            head, tail = "".join(self._head), "".join(self._tail)
            dropped = self._total - len(head) - len(tail)
        if self.mask is not None:
            head, tail = _masked(self.mask, head, tail, is_cut=bool(dropped))
        first, last = head.encode("utf-8", "replace"), tail.encode("utf-8", "replace")
        if not dropped:
            whole = first + last
            if len(whole) <= limit:
                return whole.decode("utf-8")
            first = last = whole
            dropped = len(whole) - (limit - _NOTE)
        else:
            dropped += max(0, len(first) - (limit - _NOTE) // 4) + max(0, len(last) - (limit - _NOTE) * 3 // 4)
        note = f"\n… {dropped:,} bytes of output cut …\n"
        first, last = first[: (limit - _NOTE) // 4], last[-((limit - _NOTE) * 3 // 4) :]
        return first.decode("utf-8", "ignore") + note + last.decode("utf-8", "ignore")

    def _begin(self) -> None:
        self._head: list[str] = []
        self._tail: list[str] = []
        self._partial: list[str] = []
        self._waiting: list[str] = []
        self._tail_size = self._waiting_size = self._unseen = 0

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
        if self._tail_size > 2 * TAIL:  # seldom enough that each character is copied about once
            self._tail = ["".join(self._tail)[-TAIL:]]
            self._tail_size = TAIL

    def _whole_lines(self, text: str) -> str:
        """Give what is complete up to the last line end, and keep the rest until it is."""
        end = text.rfind("\n") + 1
        if not end:
            self._partial.append(text)
            return ""
        lines = "".join([*self._partial, text[:end]])
        self._partial.clear()
        if end < len(text):
            self._partial.append(text[end:])
        return lines

    def _show(self, lines: str) -> None:
        """Give lines to the sink: at once on the loop's thread, else together with others when the loop gets to it."""
        loop, sink = self.loop, self._sink
        if sink is None:
            return
        lines = self._hidden(lines)
        if loop is None or _running_loop() is loop:
            self._show_waiting()
            sink(self._tenant, lines)
            return
        with self._lock:
            first = not self._waiting and not self._unseen
            if self._waiting_size > MAX_WAITING:
                self._unseen += len(lines)
            else:
                self._waiting.append(lines)
                self._waiting_size += len(lines)
        if first and not loop.is_closed():
            loop.call_soon_threadsafe(self._show_waiting)

    def _hidden(self, text: str) -> str:
        return text if self.mask is None else self.mask.replace(text)

    def _show_waiting(self) -> None:
        if not self._waiting:
            return
        with self._lock:
            lines, unseen = "".join(self._waiting), self._unseen
            self._waiting.clear()
            self._waiting_size = self._unseen = 0
        if unseen:
            lines += f"… {unseen:,} characters of output not shown, for they came too fast …\n"
        if lines and self._sink is not None:
            self._sink(self._tenant, lines)


def _masked(mask: Mask, head: str, tail: str, *, is_cut: bool) -> tuple[str, str]:
    """Hide what nobody is shown in the beginning and the end that were kept of a text, also where it was cut."""
    if not is_cut:
        return mask.replace(head + tail), ""
    return mask.hide_end(mask.replace(head)), mask.hide_beginning(mask.replace(tail))


def _running_loop() -> asyncio.AbstractEventLoop | None:
    try:
        return asyncio.get_running_loop()
    except RuntimeError:
        return None
