"""Attacks on the review app from beside it: other sites, other users of the machine, other paths."""

import json
from pathlib import Path

import pytest
from review_apps import PORT, TOKEN, App

DATA = ("/api/pages", "/api/pages/page", "/api/pages/page/tiles/page/0/0/0")
DECISIONS = "/api/pages/page/decisions"


@pytest.mark.parametrize("path", DATA)
@pytest.mark.parametrize("given", [{}, {"x-review-token": "t" * 42}, {"x-review-token": ""}, {"cookie": TOKEN}])
def test_no_data_without_the_token(app: App, path: str, given: dict[str, str]) -> None:
    answer = app.client.get(path, headers=given)
    assert answer.status_code == 401
    assert set(answer.json()) == {"error"}


def test_a_token_in_the_query_is_none(app: App) -> None:
    assert app.client.get(f"/api/pages?token={TOKEN}").status_code == 401


def test_two_tokens_are_none(app: App) -> None:
    headers = [("x-review-token", TOKEN), ("x-review-token", "guess")]
    assert app.client.get("/api/pages", headers=headers).status_code == 401


@pytest.mark.parametrize(
    "host", ["evil.example", f"evil.example:{PORT}", "127.0.0.1", f"127.0.0.1:{PORT + 1}", f"0.0.0.0:{PORT}", ""]
)
def test_a_name_bound_to_this_machine_is_refused(app: App, host: str) -> None:
    for path in ("/", "/static/app.js", "/api/pages"):
        answer = app.client.get(path, headers={"host": host, "x-review-token": TOKEN})
        assert answer.status_code == 421
        assert "pages" not in answer.json()


@pytest.mark.parametrize(
    "headers",
    [
        {"origin": "https://evil.example"},
        {"origin": "null"},
        {"origin": f"http://127.0.0.1:{PORT + 1}"},
        {"sec-fetch-site": "cross-site"},
        {"sec-fetch-site": "same-site"},
    ],
)
def test_a_page_of_another_site_is_refused_even_with_the_token(app: App, headers: dict[str, str]) -> None:
    assert app.client.get("/api/pages", headers={"x-review-token": TOKEN, **headers}).status_code == 403


def test_a_form_of_another_site_cannot_decide(app: App) -> None:
    body = json.dumps({"what": "gain", "value": 5.0, "head": "x"})
    for kind in ("text/plain", "application/x-www-form-urlencoded", "multipart/form-data", ""):
        headers = {"x-review-token": TOKEN, "content-type": kind}
        assert app.client.post(DECISIONS, content=body, headers=headers).status_code == 415


def test_a_body_that_would_fill_the_memory_is_refused_unread(app: App) -> None:
    headers = {"x-review-token": TOKEN, "content-type": "application/json"}
    answer = app.client.post(DECISIONS, content=b" " * 2_000_001, headers=headers)
    assert answer.status_code == 413
    answer = app.client.post(DECISIONS, content=iter([b"{}"]), headers=headers)  # no length
    assert answer.status_code == 411


@pytest.mark.parametrize("path", [DECISIONS, "/api/pages/page/follow", "/api/pages/page/save", "/api/stop"])
@pytest.mark.parametrize("method", ["GET", "HEAD", "PUT", "DELETE", "OPTIONS"])
def test_what_changes_something_is_post_alone(app: App, path: str, method: str) -> None:
    answer = app.client.request(method, path, headers={"x-review-token": TOKEN})
    assert answer.status_code == 405
    assert app.stopped == []


@pytest.mark.parametrize(
    "name",
    ["..%2f..%2fetc%2fpasswd", "%2e%2e", "..", "page.json", "page%00", "/etc/passwd", "page%2f..%2fpage", "a" * 5000],
)
def test_a_name_leads_to_no_path(app: App, name: str) -> None:
    for rest in ("", "/tiles/page/0/0/0"):
        answer = app.get(f"/api/pages/{name}{rest}")
        assert answer.status_code == 404 or answer.json().get("pages"), (name, answer.text)
        assert "root:" not in answer.text


@pytest.mark.parametrize("path", ["/static/../app.py", "/static/%2e%2e/app.py", "/static/index.html/..", "/static/"])
def test_only_the_apps_own_files_are_served(app: App, path: str) -> None:
    assert app.client.get(path).status_code == 404


def test_a_report_cannot_name_a_picture_outside_the_folders(app: App, root: Path, tmp_path: Path) -> None:
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    secret = elsewhere / "secret.png"
    secret.write_bytes((root / "scans" / "page.png").read_bytes())
    report = json.loads((root / "read" / "page.json").read_text())
    for file in (str(secret), f"{root}/read/../../elsewhere/secret.png"):
        report["source"]["file"] = file
        (root / "read" / "page.json").write_text(json.dumps(report))
        answer = app.get("/api/pages/page")
        assert answer.status_code == 409
        assert "--pages" in answer.json()["error"]
        assert app.get("/api/pages/page/tiles/picture/0/0/0").status_code == 409


def test_a_link_in_the_folder_leads_nowhere_else(app: App, root: Path, tmp_path: Path) -> None:
    secret = tmp_path / "secret.png"
    (root / "scans" / "page.png").rename(secret)
    (root / "scans" / "page.png").symlink_to(secret)
    assert app.get("/api/pages/page").status_code == 409


def test_every_answer_forbids_what_is_not_the_apps_own(app: App) -> None:
    refused = app.client.get("/api/pages")
    for answer in (app.client.get("/"), app.client.get("/static/app.js"), app.get("/api/pages"), refused):
        policy = answer.headers["content-security-policy"]
        assert "default-src 'none'" in policy
        assert "unsafe" not in policy
        assert "http" not in policy
        assert "frame-ancestors 'none'" in policy
        assert answer.headers["x-content-type-options"] == "nosniff"
        assert answer.headers["referrer-policy"] == "no-referrer"
        assert answer.headers["cache-control"] == "no-store"
        assert "access-control-allow-origin" not in answer.headers


def test_the_apps_files_name_no_other_address() -> None:
    import ecg_flare.review

    static = Path(ecg_flare.review.__file__).parent / "static"
    found = [
        f"{path.name}: {line.strip()}"
        for path in sorted(static.iterdir())
        for line in path.read_text().splitlines()
        if ("http:" in line or "https:" in line or "//" in line.replace("://", "//").split("//", 1)[0])
        and "www.w3.org/2000/svg" not in line
    ]
    assert found == []


def test_the_app_ends_when_it_is_told_to(app: App) -> None:
    assert app.post("/api/stop", {}).status_code == 200
    assert app.stopped == [True]
