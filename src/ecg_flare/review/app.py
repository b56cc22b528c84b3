"""The app's addresses. What only looks is GET and changes nothing on disk; what decides is POST."""

from __future__ import annotations

from collections.abc import Callable
from importlib.resources import files
from typing import Any, Final

import numpy as np
from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from ecg_flare import __version__
from ecg_flare.documents import Fields, parse_object
from ecg_flare.errors import ConfigError, EcgFlareError, InputError, ReviewError, StorageError
from ecg_flare.review.decisions import MAX_POINTS, Decision
from ecg_flare.review.desk import Desk, UnknownPageError
from ecg_flare.review.open_page import OpenPage, now
from ecg_flare.review.places import on_picture, points_of
from ecg_flare.review.tiles import tile
from ecg_flare.review.view import page_view

_STATIC: Final = files("ecg_flare.review") / "static"
_KINDS: Final = {"html": "text/html", "js": "text/javascript", "css": "text/css", "svg": "image/svg+xml"}
_MAX_WHY: Final = 1000
_STATUS: Final = ((UnknownPageError, 404), (ReviewError, 409), (StorageError, 507), (InputError, 422))


class ReviewApp:
    """What the app answers, of one desk; `stop` ends it."""

    def __init__(self, desk: Desk, stop: Callable[[], None]) -> None:
        self._desk = desk
        self._stop = stop
        names = sorted(file.name for file in _STATIC.iterdir() if file.name.partition(".")[2] in _KINDS)
        self.starlette = Starlette(
            routes=[
                Route("/", _static("index.html")),
                *(Route(f"/static/{name}", _static(name)) for name in names),
                Route("/api/pages", self.pages),
                Route("/api/pages/{name}", self.page),
                Route("/api/pages/{name}/tiles/{of}/{level:int}/{column:int}/{row:int}", self.tile),
                Route("/api/pages/{name}/decisions", self.decide, methods=["POST"]),
                Route("/api/pages/{name}/follow", self.follow, methods=["POST"]),
                Route("/api/pages/{name}/save", self.save, methods=["POST"]),
                Route("/api/stop", self.stop, methods=["POST"]),
            ],
            exception_handlers={EcgFlareError: _said},
        )

    def pages(self, request: Request) -> Response:
        """The list of pages."""
        return JSONResponse({"pages": self._desk.listed(), "reviewer": self._desk.reviewer, "version": __version__})

    def page(self, request: Request) -> Response:
        """One page as it is read and decided now, by others, too."""
        with self._desk.page(request.path_params["name"]) as page:
            page.follow_others()
            return JSONResponse(page_view(page))

    def tile(self, request: Request) -> Response:
        """A part of the upright page, or of its picture."""
        level, column, row = (request.path_params[each] for each in ("level", "column", "row"))
        with self._desk.page(request.path_params["name"]) as page:
            upright = page.result is not None and request.path_params["of"] == "page"
            image = page.result.page.image if upright and page.result is not None else page.corrected.image
        return Response(tile(image, level, column, row), media_type="image/jpeg")

    async def decide(self, request: Request) -> Response:
        """Make a decision, and answer with the page as it is then."""
        body = await _body(request)
        fields = Fields(body, "decision", ConfigError).only(("what", "value", "why", "head"))
        why = fields.text("why", "")
        if len(why) > _MAX_WHY:
            raise ConfigError(f"why has {len(why)} characters; at most {_MAX_WHY} are taken")
        what, head, value = fields.text("what"), fields.text("head"), body.get("value")

        def decided(page: OpenPage) -> Response:
            decision = Decision(what, on_picture(page, what, value), self._desk.reviewer, now(), why)
            page.decide(decision, head)
            return JSONResponse(page_view(page))

        return await self._on_page(request, decided)

    async def follow(self, request: Request) -> Response:
        """The line through the ink between points, for a person to look at before they decide."""
        fields = Fields(await _body(request), "follow", ConfigError).only(("points",))
        points = points_of(fields.each("points", MAX_POINTS), "follow")

        def followed(page: OpenPage) -> Response:
            line = page.corrected.follow(page.corrections, tuple((x, y) for x, y in page.on_picture(points)))
            return JSONResponse({"points": page.on_page(np.array(line))})

        return await self._on_page(request, followed)

    async def save(self, request: Request) -> Response:
        """Write the page's files, where they are not those of the last decision."""

        def saved(page: OpenPage) -> Response:
            page.save()
            return JSONResponse({"saved": page.is_saved, "unsaved": page.unsaved, "withheld": page.withheld})

        return await self._on_page(request, saved)

    async def stop(self, request: Request) -> Response:
        """End the app."""
        self._stop()
        return JSONResponse({"stopped": True})

    async def _on_page(self, request: Request, answer: Callable[[OpenPage], Response]) -> Response:
        def answered() -> Response:
            with self._desk.page(request.path_params["name"]) as page:
                return answer(page)

        return await run_in_threadpool(answered)


async def _body(request: Request) -> dict[str, Any]:
    return parse_object(await request.body(), "request", ConfigError)


def _static(name: str) -> Callable[[Request], Response]:
    kind = _KINDS[name.rpartition(".")[2]]

    def answer(request: Request) -> Response:
        return Response((_STATIC / name).read_bytes(), media_type=kind)

    return answer


def _said(request: Request, error: Exception) -> Response:
    status = next((status for kind, status in _STATUS if isinstance(error, kind)), 500)
    return JSONResponse({"error": str(error)}, status)
