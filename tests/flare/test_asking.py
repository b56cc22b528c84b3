import threading
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import pytest
from nvflare.apis.client import Client
from nvflare.apis.controller_spec import ClientTask, Task, TaskCompletionStatus
from nvflare.apis.fl_context import FLContext
from nvflare.apis.shareable import Shareable
from nvflare.apis.signal import Signal

from ecg_flare.errors import UpdateError
from ecg_flare.flare.server.per_site_controller import PerSiteController, Running

OnAnswer = Callable[[ClientTask, FLContext], None]


class Controller(PerSiteController):
    """Asks nobody: `answer(site)` brings a site's answer in the caller's thread, as FLARE's threads do."""

    def __init__(self) -> None:
        super().__init__(step_timeout_s=60, grace_s=0, task_check_period=0.01)
        self._engine = SimpleNamespace(get_clients=lambda: [Client("a", "token-a"), Client("b", "token-b")])
        self._sent: dict[str, tuple[Task, OnAnswer]] = {}
        self.sent = threading.Event()

    def _send(self, task_name: str, site: str, message: Shareable, on_answer: OnAnswer, fl_ctx: FLContext) -> Task:
        task = Task(task_name, message)
        self._sent[site] = (task, on_answer)
        if len(self._sent) == 2:
            self.sent.set()
        return task

    def answer(self, site: str) -> None:
        task, on_answer = self._sent[site]
        on_answer(ClientTask(Client(site, "token"), task), FLContext())
        task.completion_status = TaskCompletionStatus.OK

    def cancel_task(self, task: Task, *args: Any, **kwargs: Any) -> None:
        task.completion_status = TaskCompletionStatus.CANCELLED

    def start_controller(self, fl_ctx: FLContext) -> None: ...

    def stop_controller(self, fl_ctx: FLContext) -> None: ...

    def control_flow(self, abort_signal: Signal, fl_ctx: FLContext) -> None: ...


def ask(controller: Controller, receive: Callable[[str, Shareable], None], abort: Signal) -> tuple[str, ...]:
    messages = {"a": Shareable(), "b": Shareable(), "nobody": Shareable()}
    return controller.ask("train", messages, receive, running=Running(FLContext(), abort), enough=2)


def test_an_answer_that_is_refused_does_not_count_and_who_is_not_there_is_not_asked() -> None:
    controller = Controller()

    def receive(site: str, answer: Shareable) -> None:
        if site == "b":
            raise UpdateError("not this one")

    def answer() -> None:
        controller.sent.wait()
        controller.answer("b")
        controller.answer("a")

    thread = threading.Thread(target=answer)
    thread.start()
    assert ask(controller, receive, Signal()) == ("a",)
    thread.join()


@pytest.mark.parametrize("late", [False, True])
def test_nothing_is_received_once_the_step_is_closed(late: bool) -> None:
    """An answer at work when the step closes is waited for and counts; one that comes after it is refused."""
    controller, abort = Controller(), Signal()
    at_work, received = threading.Event(), []

    def receive(site: str, answer: Shareable) -> None:
        at_work.set()
        abort.trigger(True)
        threading.Event().wait(0.1)  # the step is given time to close over it
        received.append(site)

    def answer() -> None:
        controller.sent.wait()
        controller.answer("a")

    thread = threading.Thread(target=answer)
    thread.start()
    assert ask(controller, receive, abort) == ("a",)
    assert received == ["a"]
    thread.join()
    if late:
        controller.answer("b")
        assert received == ["a"]
