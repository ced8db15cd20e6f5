"""A network before a server that can be half dead: connections are taken, stay, and bring nothing any more."""

from __future__ import annotations

import socket
import threading
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

_PIECE = 65_536


class Network:
    """Forwards what comes to its `port`, from threads, so that it does also while an event loop is blocked."""

    def __init__(self, host: str, port: int) -> None:
        """Begin; `host` and `port` are the server's."""
        self._server = (host, port)
        self.port = 0
        self._goes = threading.Event()
        self._goes.set()
        self._sockets: list[socket.socket] = []
        self._threads: list[threading.Thread] = []
        self._open()

    def stop(self) -> None:
        """Hold back all that is sent from now on, in either direction; nobody is told."""
        self._goes.clear()

    def mend(self) -> None:
        """Let all go on, and what was held back."""
        self._goes.set()

    @contextmanager
    def dead(self) -> Iterator[None]:
        """Hold back all that is sent meanwhile."""
        self.stop()
        try:
            yield
        finally:
            self.mend()

    @contextmanager
    def refusing(self) -> Iterator[None]:
        """Break all connections, and refuse new ones meanwhile, as where no server runs."""
        self.close()
        try:
            yield
        finally:
            self._open()

    def close(self) -> None:
        """End, with all connections."""
        self._goes.set()
        while self._sockets:
            each = self._sockets.pop(0)  # first the one that listens
            with suppress(OSError):
                each.shutdown(socket.SHUT_RDWR)
            each.close()
            self._threads[0].join()  # from here on there are no more
        while self._threads:
            self._threads.pop().join()

    def _open(self) -> None:
        listening = socket.create_server(("127.0.0.1", self.port))
        self.port = listening.getsockname()[1]
        self._sockets.append(listening)
        self._threads.append(threading.Thread(target=self._accept, args=(listening,)))
        self._threads[0].start()

    def _accept(self, listening: socket.socket) -> None:
        while True:
            try:
                client, _ = listening.accept()
                self._sockets.append(client)
                server = socket.create_connection(self._server)
                self._sockets.append(server)
            except OSError:
                return
            for source, target in ((client, server), (server, client)):
                self._threads.append(threading.Thread(target=self._forward, args=(source, target)))
                self._threads[-1].start()

    def _forward(self, source: socket.socket, target: socket.socket) -> None:
        with suppress(OSError):
            while piece := source.recv(_PIECE):
                self._goes.wait()
                target.sendall(piece)
        for each in (source, target):
            with suppress(OSError):
                each.shutdown(socket.SHUT_RDWR)
