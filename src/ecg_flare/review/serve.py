"""The app on this machine's own address, until it is told to end."""

from __future__ import annotations

import signal
import socket
from collections.abc import Callable
from types import FrameType
from typing import Final

import uvicorn

from ecg_flare.errors import ConfigError
from ecg_flare.review.app import ReviewApp
from ecg_flare.review.desk import Desk
from ecg_flare.review.guard import Guard, new_token

HOST: Final = "127.0.0.1"
"""The only address that the app is ever bound to."""

_GRACE_S: Final = 5


def serve(desk: Desk, port: int, started: Callable[[str], None]) -> None:
    """Answer on HOST until a signal (Ctrl+C, end of the terminal) or the browser ends it; then save what is open.

    `port` 0 takes a free one. `started` is told the address, with its token, once requests are taken.

    Raises ConfigError where the port is taken.
    """
    token = new_token()
    with _bound(port) as listener:
        own_port = int(listener.getsockname()[1])
        server = _Server(lambda: started(f"http://{HOST}:{own_port}/#{token}"))
        app = ReviewApp(desk, server.stop)
        server.take(Guard(app.starlette, token, own_port))
        try:
            server.run([listener])
        finally:
            desk.save_all()


class _Server:
    """uvicorn, told when to end by the app and by the end of its terminal."""

    def __init__(self, started: Callable[[], None]) -> None:
        self._started = started
        self._server: uvicorn.Server | None = None

    def take(self, app: Guard) -> None:
        config = uvicorn.Config(
            app,
            access_log=False,
            log_level="warning",
            server_header=False,
            lifespan="off",
            ws="none",
            timeout_graceful_shutdown=_GRACE_S,
        )
        self._server = _Told(config, self._started)

    def stop(self) -> None:
        if self._server is not None:
            self._server.should_exit = True

    def run(self, sockets: list[socket.socket]) -> None:
        def ended(number: int, frame: FrameType | None) -> None:
            self.stop()

        if self._server is not None:
            before = signal.signal(signal.SIGHUP, ended)
            try:
                self._server.run(sockets)
            finally:
                signal.signal(signal.SIGHUP, before)


class _Told(uvicorn.Server):
    """A server that says when it takes requests."""

    def __init__(self, config: uvicorn.Config, started: Callable[[], None]) -> None:
        super().__init__(config)
        self._told = started

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        self._told()


def _bound(port: int) -> socket.socket:
    listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    try:
        listener.bind((HOST, port))
    except OSError as error:
        listener.close()
        raise ConfigError(f"port {port} of {HOST} cannot be used: {error.strerror}; choose another --port") from error
    return listener
