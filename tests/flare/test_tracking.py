"""What MLflow is told, by a stand-in for its client: the server's figures, as one run of the server."""

import importlib
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any, NamedTuple

import pytest
from nvflare.apis.analytix import ANALYTIC_EVENT_TYPE
from nvflare.apis.event_type import EventType
from nvflare.apis.fl_component import FLComponent
from nvflare.apis.fl_constant import FLContextKey, ProcessType, ReservedKey
from nvflare.apis.fl_context import FLContext

from ecg_flare.flare.server.telemetry import RoundFigures, publish

MODULES = ("ecg_flare.flare.server.tracking", "nvflare.app_opt.tracking.mlflow.mlflow_receiver")


class Metric(NamedTuple):
    key: str
    value: float
    timestamp: int
    step: int


class Client:
    """As much of MlflowClient as FLARE's receiver calls."""

    runs: dict[str, list[Metric]]

    def get_experiment_by_name(self, name: str) -> Any:
        return SimpleNamespace(name=name, experiment_id="1")

    def create_run(self, experiment_id: str, run_name: str, tags: Any) -> Any:
        Client.runs[run_name] = []
        return SimpleNamespace(info=SimpleNamespace(run_id=run_name))

    def log_batch(self, run_id: str, metrics: Any = (), **others: Any) -> None:
        Client.runs[run_id] += metrics

    def set_terminated(self, run_id: str, *args: Any) -> None: ...


@pytest.fixture
def receiver(monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """A `ServerMLflow` over the stand-in."""
    Client.runs = {}
    contents = {
        "mlflow": {"set_tracking_uri": lambda uri: None},
        "mlflow.entities": {"Metric": Metric, "Param": tuple, "RunTag": tuple},
        "mlflow.tracking": {},
        "mlflow.tracking.client": {"MlflowClient": Client},
    }
    for name, entries in contents.items():
        module = ModuleType(name)
        module.__dict__.update(entries)
        monkeypatch.setitem(sys.modules, name, module)
    for name in MODULES:
        monkeypatch.delitem(sys.modules, name, raising=False)
    yield importlib.import_module("ecg_flare.flare.server.tracking").ServerMLflow("http://mlflow:5000")
    for name in MODULES:
        sys.modules.pop(name, None)


class Sender(FLComponent):
    """Brings what is published straight to the receiver."""

    def __init__(self, receiver: Any) -> None:
        super().__init__()
        self._receiver = receiver

    def fire_event(self, event_type: str, fl_ctx: FLContext) -> None:
        self._receiver.handle_event(event_type, fl_ctx)


def test_the_rounds_figures_become_one_run_of_the_server(receiver: Any, context: Callable[..., FLContext]) -> None:
    fl_ctx = context(name="server")
    fl_ctx.get_engine().get_clients = lambda: [SimpleNamespace(name="site-1")]
    fl_ctx.set_prop(ReservedKey.PROCESS_TYPE, ProcessType.SERVER_JOB, private=True, sticky=False)
    receiver.handle_event(EventType.START_RUN, fl_ctx)
    for index, dice in enumerate((0.5, 0.75)):
        publish(RoundFigures(round=index, dice=dice), Sender(receiver), fl_ctx)
    fl_ctx.set_prop(FLContextKey.EVENT_DATA, None, private=True, sticky=False)
    receiver.handle_event(EventType.END_RUN, fl_ctx)
    ((name, metrics),) = Client.runs.items()
    assert name.startswith("server-")
    assert [(one.step, one.value) for one in metrics if one.key == "dice"] == [(0, 0.5), (1, 0.75)]


def test_a_uri_that_the_server_does_not_list_ends_the_job(
    receiver: Any, context: Callable[..., FLContext], monkeypatch: pytest.MonkeyPatch
) -> None:
    fl_ctx = context(name="server")
    Path(fl_ctx.get_engine().get_workspace().get_startup_kit_dir(), "server.crt").touch()
    panics: list[str] = []
    monkeypatch.setattr(receiver, "system_panic", lambda reason, fl_ctx: panics.append(reason))
    receiver.handle_event(EventType.START_RUN, fl_ctx)
    assert [reason.partition(", which")[0] for reason in panics] == [
        "PolicyError: tracking_uris: the job names 'http://mlflow:5000'"
    ]
    assert Client.runs == {}


def test_what_a_site_would_send_is_not_heard(receiver: Any) -> None:
    assert receiver.events == [ANALYTIC_EVENT_TYPE]
