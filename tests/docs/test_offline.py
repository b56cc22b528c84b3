"""The check that a built site fetches nothing, on pages that do; and that the site is built with it."""

import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
sys.path.insert(0, str(ROOT / "docs" / "theme"))
from offline import fetched_by, fetched_by_site  # noqa: E402


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("<script src='https://cdn.test/a.js'></script>", ["<script> https://cdn.test/a.js"]),
        ("<link rel=stylesheet href='//cdn.test/a.css'>", ["<link> //cdn.test/a.css"]),
        ("<img src=' HTTP://cdn.test/a.png'>", ["<img>  HTTP://cdn.test/a.png"]),
        ("<style>@font-face { src: url('https://cdn.test/a.woff') }</style>", ["url https://cdn.test/a.woff"]),
        ("<style>@import 'https://cdn.test/a.css';</style>", ["url https://cdn.test/a.css"]),
        ("<pre class='x mermaid'>graph</pre>", ["<pre class='mermaid'>, for which the theme fetches a script"]),
        ("<a href='https://arxiv.test/abs/1'>read</a><p>https://cdn.test</p>", []),
        ("<script src='../a.js'></script><img src='data:image/png;base64,AA'><link href='a.css'>", []),
    ],
)
def test_what_a_browser_fetches_from_elsewhere_is_found_and_links_are_not(text: str, found: list[str]) -> None:
    assert fetched_by(text) == found


def test_pages_and_style_sheets_of_a_folder_are_read(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / "b.html").write_text("<img src='https://cdn.test/a.png'>")
    (tmp_path / "c.css").write_text("body { background: url(//cdn.test/b.png) }")
    (tmp_path / "d.js").write_text("'https://cdn.test'")
    assert list(fetched_by_site(tmp_path)) == [
        "a/b.html: <img> https://cdn.test/a.png",
        "c.css: url //cdn.test/b.png",
    ]
