"""What a run says never becomes markup of its report, and what is no figure ends in an error that names it."""

import json
import math
from collections.abc import Callable, Iterator
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest

from ecg_flare.errors import ConfigError, EcgFlareError, UpdateError
from ecg_flare.flare.job.messages import TrainResult
from ecg_flare.report import document
from ecg_flare.report.build import write_report
from ecg_flare.report.figures import ticks
from ecg_flare.report.run import read_run
from ecg_flare.report.watch import look, watch_lines

X = "<script>alert(1)</script>\"'><img src=x onerror=alert(1)>"
TERMS = [
    *("rounds", "projection.size", "projection.seed", "sites.weights", "sites.min_sites", "sites.hidden.max_weight"),
    *("clipping.norm", "clipping.adaptive", "privacy.noise_multiplier", "privacy.epsilon_budget", "privacy.delta"),
    *("sampling.rate", "sampling.patients", "sampling.patients_per_site"),
]
FIGURES = [
    *("dice", "sites_dice", "update_norm", "bytes_down", "bytes_up", "epsilon_rdp", "epsilon_prv", "round"),
    *("seconds_by_step", "site_metrics", "answered", "missing", "failure", "measures"),
]
FORBIDDEN = {"script", "img", "iframe", "object", "a", "link", "base", "form"}


def run_files() -> tuple[dict[str, Any], list[dict[str, Any]]]:
    """run.json and the lines of metrics.jsonl, with markup wherever a text can stand."""
    terms: dict[str, Any] = {"sites": {"weights": {X: 1.0, "b": 1.0}, "min_sites": 2}, "rounds": 2}
    terms |= {"model": {"plan": X, "trained": ["*"]}, "clipping": {"norm": 1.0}, "summation": "plain"}
    terms |= {"privacy": {"noise_multiplier": 1.0, "epsilon_budget": 8.0, "delta": 1e-5}}
    texts = ("job", "version", "plan_hash", "terms_digest", "aggregator", "start", "started")
    run = {**dict.fromkeys(texts, X), "optimizer": {X: X}, "public_pages": {"path": X, "args": {}}, "terms": terms}
    first = {"round": 1, "dice": 0.6, "failure": "", "answered": [X, "b"], "missing": [X]}
    first |= {"seconds_by_step": {X: 1.0, "train": 2.0}, "epsilon_rdp": 1.0, "epsilon_prv": 0.9}
    first |= {"measures": {X: 1.0}}
    first |= {"site_metrics": {X: {"loss": 1.0, "clipped": 1.0, "update_norm": 2.0, X: 1.0}}}
    return run, [
        {"round": 0, "dice": 0.5},
        first,
        {"round": 2, "dice": 0.6, "failure": X, "answered": [], "missing": [X]},
    ]


def written(folder: Path, run: Any, rounds: list[Any]) -> Path:
    (folder / "run.json").write_text(json.dumps(run))
    (folder / "metrics.jsonl").write_text("".join(json.dumps(each) + "\n" for each in rounds))
    return folder


def report(folder: Path) -> str:
    return write_report(read_run(folder), folder / "r.html", pages=0).read_text()


def tags(html: str) -> Iterator[str]:
    found: list[str] = []

    class Tags(HTMLParser):
        def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
            found.append(tag)
            assert not any(name.startswith("on") for name, _ in attributes)

    Tags().feed(html)
    yield from found


def test_no_text_of_a_run_becomes_markup(tmp_path: Path) -> None:
    html = report(written(tmp_path, *run_files()))

    assert html.count("&lt;script&gt;alert(1)") > 10
    assert not FORBIDDEN & set(tags(html))


def test_without_escaping_it_does(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(document, "escape", lambda text: text)
    html = written(tmp_path, *run_files()) and report(tmp_path)

    assert {"script", "img"} <= set(tags_unchecked(html))


def tags_unchecked(html: str) -> list[str]:
    return [part.split(">")[0].split(" ")[0] for part in html.split("<")[1:]]


@pytest.mark.parametrize("key", TERMS)
@pytest.mark.parametrize("value", [X, [], {"a": None}, -1, 1e308, True, {}])
def test_a_term_that_is_no_figure_is_named_with_its_value(tmp_path: Path, key: str, value: Any) -> None:
    run, rounds = run_files()
    *parts, name = key.split(".")
    inner = run["terms"]
    for part in parts:
        inner = inner.setdefault(part, {})
    inner[name] = value

    with pytest.raises(ConfigError, match=r"run\.json has no terms that can be read"):
        report(written(tmp_path, run, rounds))


def test_a_way_of_summing_that_nobody_knows_is_named(tmp_path: Path) -> None:
    run, rounds = run_files()
    run["terms"]["summation"] = "by_hand"
    with pytest.raises(ConfigError, match=r"summation is 'by_hand', expected one of 'plain', 'masked', 'encrypted'"):
        report(written(tmp_path, run, rounds))


@pytest.mark.parametrize("key", FIGURES)
@pytest.mark.parametrize("value", [X, math.nan, math.inf, -math.inf, 1e308, -5, {"a": X}, [1]])
def test_a_figure_that_is_none_is_named_with_its_line(tmp_path: Path, key: str, value: Any) -> None:
    if key == "failure" and value == X:
        return  # a text
    run, rounds = run_files()
    rounds[1][key] = value

    with pytest.raises(ConfigError, match=r"Line 2 of .*metrics\.jsonl is no round's figures"):
        report(written(tmp_path, run, rounds))


@pytest.mark.parametrize("value", [math.nan, math.inf, 1e308])
def test_a_sites_figure_is_named_with_its_site(tmp_path: Path, value: float) -> None:
    run, rounds = run_files()
    rounds[1]["site_metrics"] = {"site-1": {"loss": value}}

    with pytest.raises(
        ConfigError, match=r"metrics\.jsonl(.*site_metrics, 'site-1': loss must be a number|.*no finite)"
    ):
        report(written(tmp_path, run, rounds))


@pytest.mark.parametrize(
    ("name", "data", "said"),
    [
        ("metrics.jsonl", b'{"round": 0, "dice": 0.5}\n{"failure": "\xff"}\n', "Line 2 of .*not JSON in UTF-8"),
        ("metrics.jsonl", b'{"round": 0, "dice": 0.5, "dice": 0.9}\n', "'dice' stands twice"),
        ("metrics.jsonl", b"[" * 100_000 + b"\n", "nested too deeply"),
        ("metrics.jsonl", b'{"round": ' + b"9" * 5000 + b', "dice": 0.5}\n', "5000 digits"),
        ("metrics.jsonl", b'{"round": 0, "dice": 1e999}\n', "1e999 is no finite number"),
        ("metrics.jsonl", b'{"round": 0, "dice": 0.5, "failure": "\\ud800"}\n', "surrogates not allowed"),
        ("run.json", b'{"terms": {"rounds": NaN}}', "NaN is no finite number"),
        ("run.json", b"\xff\xfe", "not JSON in UTF-8"),
        ("run.json", b"[]", "expected an object"),
        ("ended.json", b'{"outcome": 5}', "outcome must be a text. Found 5"),
        ("ended.json", b"\xff", "not JSON in UTF-8"),
    ],
)
def test_a_damaged_file_is_named(tmp_path: Path, name: str, data: bytes, said: str) -> None:
    written(tmp_path, *run_files())
    (tmp_path / name).write_bytes(data)

    with pytest.raises(ConfigError, match=f"(?s){name.replace('.', '[.]')}.*{said}|{said}") as raised:
        watch_lines(look(tmp_path))
    assert name in str(raised.value)
    if name != "ended.json":
        with pytest.raises(ConfigError, match=said):
            read_run(tmp_path)


def test_only_a_line_without_its_end_was_cut_short(tmp_path: Path) -> None:
    run, rounds = run_files()
    written(tmp_path, run, rounds)
    metrics = tmp_path / "metrics.jsonl"
    metrics.write_text(metrics.read_text() + '{"round": 3, "dice": NaN}\n')
    with pytest.raises(ConfigError, match="Line 4"):
        read_run(tmp_path)

    metrics.write_bytes(metrics.read_bytes()[:-30] + "é".encode()[:1])
    assert read_run(tmp_path).cut_short


@pytest.mark.parametrize("figures", [(0.0, 5e-324), (1e12 - 1e-4, 1e12), (-1.0, -1.0), (0.0, 1e12), (1e-12, 2e-12)])
def test_figures_that_hardly_differ_are_drawn(tmp_path: Path, figures: tuple[float, float]) -> None:
    marks = ticks(*figures)
    assert marks[0] < marks[-1]

    run, rounds = run_files()
    rounds[1]["update_norm"], rounds[2]["update_norm"] = abs(figures[0]), abs(figures[1])
    rounds[2]["failure"] = ""
    html = report(written(tmp_path, run, rounds))
    assert "nan" not in html.split("<svg", 1)[1].lower().replace("finance", "")


@pytest.mark.parametrize("started", ["0001-01-01", "9999-12-31T23:59:59", "x" * 100_000])
def test_a_date_that_no_clock_shows_is_told_as_it_is(tmp_path: Path, started: str) -> None:
    run, rounds = run_files()
    run["started"] = started

    assert started[:10] in report(written(tmp_path, run, rounds))


@pytest.mark.parametrize(
    "metrics", [{"loss": math.nan}, {"loss": 1e13}, {"n" * 101: 1.0}, {str(n): 1.0 for n in range(33)}]
)
def test_a_site_cannot_tell_figures_that_a_report_refuses(
    make_reply: Callable[..., TrainResult], metrics: dict
) -> None:
    """Else one site could make the whole run unreadable."""
    with pytest.raises(UpdateError, match="metrics must be finite numbers by name"):
        TrainResult.from_shareable(make_reply(metrics=metrics).to_shareable())


@pytest.fixture
def make_reply() -> Callable[..., TrainResult]:
    import numpy as np

    return lambda **changes: TrainResult(np.zeros(3, np.float32), 0, "a", "l", **changes)


def test_every_refusal_is_one_of_ours() -> None:
    assert issubclass(ConfigError, EcgFlareError)
