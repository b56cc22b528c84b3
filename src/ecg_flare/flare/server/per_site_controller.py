"""A controller that asks several sites at once, each with a message of its own, and waits no longer than it must."""

import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final

from nvflare.apis.client import Client
from nvflare.apis.controller_spec import ClientTask, SendOrder, Task
from nvflare.apis.fl_context import FLContext
from nvflare.apis.impl.controller import Controller
from nvflare.apis.shareable import Shareable
from nvflare.apis.signal import Signal
from nvflare.fuel.utils.memory_utils import try_malloc_trim

from ecg_flare.errors import ConfigError, EcgFlareError, RoundError

_CONNECT_S: Final = 30.0

Receive = Callable[[str, Shareable], None]
"""Takes (site, its answer); raises one of our errors for an answer that does not count."""


@dataclass(frozen=True)
class Running:
    """The job that a step belongs to: its context, and the signal that it was aborted."""

    fl_ctx: FLContext
    abort_signal: Signal


class PerSiteController(Controller):
    """Sends each site its own message of a step and hands the answers on, one at a time.

    (FLARE's broadcast gives all sites one message, of which it keeps a deep copy.)

    Args:
        step_timeout_s: a step closes after this, whoever has answered.
        grace_s: once enough sites have answered, how long to wait for the others.
    """

    def __init__(self, step_timeout_s: int, grace_s: int, task_check_period: float) -> None:
        super().__init__(task_check_period=task_check_period)
        if step_timeout_s < 1:
            raise ConfigError(f"step_timeout_s is {step_timeout_s}, expected at least 1")
        if grace_s < 0:
            raise ConfigError(f"grace_s is {grace_s}, expected at least 0")
        self._step_timeout_s = step_timeout_s
        self._grace_s = grace_s
        self._period_s = task_check_period

    def ask(
        self,
        task_name: str,
        messages: Mapping[str, Shareable],
        receive: Receive,
        *,
        running: Running,
        enough: int,
        grace_s: float | None = None,
    ) -> tuple[str, ...]:
        """Ask each site of `messages`; gives the sites whose answers counted, in sorted order.

        An answer for which `receive` raises one of our errors is logged and does not count. Sites that do not connect
        within half a minute are not asked. `receive` is never at work after this returned. `grace_s` takes the place of
        the controller's own.
        """
        counted: list[str] = []
        at_work = threading.Lock()  # FLARE's threads bring answers while this one decides that it has waited enough
        closed = False

        def on_answer(client_task: ClientTask, fl_ctx: FLContext) -> None:
            site = client_task.client.name
            try:
                with at_work:
                    if closed:
                        raise RoundError("the answer came as the step was closed")
                    receive(site, client_task.result)
                    counted.append(site)
            except EcgFlareError as error:
                self.log_error(fl_ctx, f"{task_name}: {site} is out: {error}", fire_event=False)
            finally:
                client_task.result = None
                # glibc keeps what large messages leave free, an arena a thread: the server would grow with the sites
                try_malloc_trim()

        connected = self._connected(set(messages), running.abort_signal)
        tasks = [
            self._send(task_name, site, message, on_answer, running.fl_ctx)
            for site, message in messages.items()
            if site in connected
        ]
        grace_s = self._grace_s if grace_s is None else grace_s
        self._wait(tasks, lambda: len(counted) >= enough, grace_s, running.abort_signal)
        with at_work:
            closed = True
            return tuple(sorted(counted))

    def process_result_of_unknown_task(
        self, client: Client, task_name: str, client_task_id: str, result: Shareable, fl_ctx: FLContext
    ) -> None:
        """A late answer belongs to a step that is closed: it is logged and dropped, never counted."""
        self.log_info(fl_ctx, f"dropped a late '{task_name}' of {client.name}: its round is closed")

    def _connected(self, sites: set[str], abort_signal: Signal) -> set[str]:
        deadline = time.monotonic() + _CONNECT_S
        while True:
            connected = sites & {client.name for client in self._engine.get_clients()}
            if connected == sites or abort_signal.triggered or time.monotonic() > deadline:
                return connected
            time.sleep(self._period_s)

    def _send(
        self,
        task_name: str,
        site: str,
        message: Shareable,
        on_answer: Callable[[ClientTask, FLContext], None],
        fl_ctx: FLContext,
    ) -> Task:
        task = Task(task_name, message, timeout=self._step_timeout_s, result_received_cb=on_answer)
        self.send(task, fl_ctx, [site], SendOrder.ANY)
        return task

    def _wait(self, tasks: list[Task], enough: Callable[[], bool], grace_s: float, abort_signal: Signal) -> None:
        enough_since: float | None = None
        while any(task.completion_status is None for task in tasks):
            if enough_since is None and enough():
                enough_since = time.monotonic()
            waited_on = enough_since is not None and time.monotonic() - enough_since > grace_s
            if waited_on or abort_signal.triggered:
                for task in tasks:
                    if task.completion_status is None:
                        self.cancel_task(task)
                return
            time.sleep(self._period_s)
