"""The secure sum over FLARE's messages, without FLARE's processes."""

from collections.abc import Callable, Mapping
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from masked_sites import PLAN, TERMS, D, Site
from nvflare.apis.shareable import Shareable

from ecg_flare.errors import RoundError
from ecg_flare.flare.aggregators import FedAvg
from ecg_flare.flare.masked_collection import MaskedCollection
from ecg_flare.flare.messages import TRAIN, Order
from ecg_flare.flare.secure_messages import UNMASK, pack_masked, unpack_masked
from ecg_flare.privacy.secure_sum.messages import MaskedUpdate

Change = Callable[[str, str, Shareable], Shareable]


class Asking:
    """Asks the sites in turn; `change` may alter an answer on its way."""

    def __init__(self, context: Callable[..., Any], change: Change = lambda task, site, answer: answer) -> None:
        self.sites = {name: Site(name, context) for name in TERMS.roster}
        self.secrets_on_disk: dict[str, int] = {}
        self._change = change

    def __call__(
        self, task_name: str, messages: Mapping[str, Shareable], receive: Callable[..., None], *, enough: int
    ) -> tuple[str, ...]:
        for site, message in messages.items():
            receive(site, self._change(task_name, site, self.sites[site].answer(task_name, message)))
        files = [path for one in self.sites.values() for path in one.root.rglob("*secrets*")]
        assert all(path.stat().st_mode & 0o777 == 0o600 for path in files)
        self.secrets_on_disk[task_name] = len(files)
        return tuple(messages)


def collect(asking: Asking) -> FedAvg:
    order = Order(np.zeros(D, np.float32), 0, "a" * 32, PLAN.layout_digest, PLAN.hash, TERMS.digest)
    workspace = next(iter(asking.sites.values())).fl_ctx.get_engine().get_workspace()
    aggregator = FedAvg()
    MaskedCollection(workspace, "job-1", lambda line: None).collect(order, TERMS, aggregator, asking)
    return aggregator


def test_the_sum_is_exact_and_no_secret_outlives_its_round(context: Callable[..., Any]) -> None:
    asking = Asking(context)
    summed = collect(asking).aggregate(SimpleNamespace())
    coordinate = int(0.5 / np.sqrt(D) * 2**24)
    assert summed["DXO"]["data"]["sum"] == pytest.approx(np.full(D, 3 * coordinate), abs=3)
    assert asking.secrets_on_disk["sum_keys"] == 3
    assert asking.secrets_on_disk[UNMASK] == 0


def test_a_sum_that_its_sites_cannot_have_given_loses_the_round_not_the_job(context: Callable[..., Any]) -> None:
    """A faulty site's numbers outgrow the bound behind the masks, where only the opened sum shows it."""

    def too_much(task: str, site: str, answer: Shareable) -> Shareable:
        if (task, site) != (TRAIN, "site-2"):
            return answer
        masked = unpack_masked(answer)
        return pack_masked(MaskedUpdate(masked.context, masked.sender, masked.vector + np.uint32(2**30)))

    with pytest.raises(RoundError, match="its sum is not used"):
        collect(Asking(context, too_much))
