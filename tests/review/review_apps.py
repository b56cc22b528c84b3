"""The review app as a client sees it, without a server."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from starlette.testclient import TestClient

from ecg_flare.digitize.options import ReadingOptions
from ecg_flare.review.app import ReviewApp
from ecg_flare.review.desk import Desk
from ecg_flare.review.folder import ReviewFolder
from ecg_flare.review.guard import Guard

TOKEN = "t" * 43
PORT = 8765
OPTIONS = ReadingOptions(segmenter="classical", words="off")


@dataclass
class App:
    """The app as a client sees it: requests with the right token, unless they bring their own headers."""

    client: TestClient
    desk: Desk
    stopped: list[bool] = field(default_factory=list)

    def get(self, path: str) -> Any:
        return self.client.get(path, headers={"x-review-token": TOKEN})

    def post(self, path: str, body: Any) -> Any:
        return self.client.post(path, json=body, headers={"x-review-token": TOKEN})

    def page(self, name: str = "page") -> dict[str, Any]:
        answer = self.get(f"/api/pages/{name}")
        assert answer.status_code == 200, answer.text
        return answer.json()

    def decide(self, what: str, value: Any, *, head: str, why: str = "") -> dict[str, Any]:
        answer = self.post("/api/pages/page/decisions", {"what": what, "value": value, "why": why, "head": head})
        assert answer.status_code == 200, answer.text
        return answer.json()


def open_app(root: Path, reviewer: str = "Dr. Lind", options: ReadingOptions = OPTIONS) -> App:
    desk = Desk(ReviewFolder.opened(root / "read", (root / "scans",)), options, reviewer)
    stopped: list[bool] = []
    app = ReviewApp(desk, lambda: stopped.append(True))
    guard = Guard(app.starlette, TOKEN, PORT)
    return App(TestClient(guard, base_url=f"http://127.0.0.1:{PORT}"), desk, stopped)
