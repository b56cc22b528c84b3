"""The app on this machine's own address, until it is told to end."""

from __future__ import annotations

import signal
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Final

import uvicorn

from ecg_flare.errors import ConfigError
from ecg_flare.review.app import ReviewApp
from ecg_flare.review.desk import Desk
from ecg_flare.review.guard import Guard, new_token

HOST: Final = "127.0.0.1"
"""The only address that the app is ever bound to."""

_GRACE_S: Final = 5
_ENDS: Final = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
"""Ctrl+C, a request to end, and the end of the terminal."""


def serve(desk: Desk, port: int, started: Callable[[str], None]) -> None:
    """Answer on HOST until a signal (Ctrl+C, end of the terminal) or the browser ends it; then save what is open.

    `port` 0 takes a free one. `started` is told the address, with its token, once requests are taken.

    Raises ConfigError where the port is taken.
    """
    token = new_token()
    with _bound(port) as listener:
        own_port = int(listener.getsockname()[1])
        ended = threading.Event()
        guarded = Guard(ReviewApp(desk, ended.set).starlette, token, own_port)
        config = uvicorn.Config(
            guarded,
            access_log=False,
            log_level="warning",
            server_header=False,
            lifespan="off",
            ws="none",
            timeout_graceful_shutdown=_GRACE_S,
        )
        server = _Server(config, ended, lambda: started(f"http://{HOST}:{own_port}/#{token}"))
        try:
            server.run([listener])
        finally:
            desk.save_all()


class _Server(uvicorn.Server):
    """A server that says when it takes requests, and ends at a signal without passing it on: pages are saved then."""

    def __init__(self, config: uvicorn.Config, ended: threading.Event, started: Callable[[], None]) -> None:
        super().__init__(config)
        self._ended = ended
        self._told = started

    async def on_tick(self, counter: int) -> bool:
        return self._ended.is_set() or await super().on_tick(counter)

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        self._told()

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        before = {number: signal.signal(number, self.handle_exit) for number in _ENDS}
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)


def _bound(port: int) -> socket.socket:
    listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    try:
        listener.bind((HOST, port))
    except OSError as error:
        listener.close()
        raise ConfigError(f"port {port} of {HOST} cannot be used: {error.strerror}; choose another --port") from error
    return listener
