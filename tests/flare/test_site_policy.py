import hashlib
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from nvflare.apis.fl_constant import FLContextKey
from nvflare.apis.signal import Signal

from ecg_flare.errors import ConfigError, PolicyError
from ecg_flare.flare.job.messages import ERROR_HEADER, TRAIN, VALIDATE, TrainRequest
from ecg_flare.flare.site.executor import NnunetExecutor
from ecg_flare.flare.site.filters import ClipUpdate, StripResult
from ecg_flare.flare.site.policy import POLICY_FILE, SitePolicy, read_policy
from ecg_flare.flare.summation.masked.site import MaskUpdate
from ecg_flare.nnunet.kinds import plan_preset
from ecg_flare.nnunet.plan import parameter_count
from flat_terms import flat_terms, varied


def read(context: Callable[..., Any], text: str) -> SitePolicy:
    workspace = context().get_engine().get_workspace()
    (Path(workspace.get_site_config_dir()) / POLICY_FILE).write_text(text, encoding="utf-8")
    return read_policy(workspace)


def test_without_a_file_the_protocols_own_floors_hold(context: Callable[..., Any]) -> None:
    policy = read_policy(context().get_engine().get_workspace())
    assert policy == SitePolicy()
    assert (policy.min_cohort, policy.min_threshold, policy.max_clipping_norm) == (3, 3, math.inf)
    policy.check(flat_terms({"site-1": 1.0}, rounds=1, min_sites=1))


def test_a_policy_is_read_whole(context: Callable[..., Any]) -> None:
    pin = hashlib.sha256(b"certificate").hexdigest()
    policy = read(context, f'{{"min_cohort": 5, "max_clipping_norm": 1, "pinned": {{"site-1": "{pin}"}}}}')
    assert (policy.min_cohort, policy.min_threshold, policy.max_clipping_norm) == (5, 3, 1)
    assert policy.fingerprints == {"site-1": hashlib.sha256(b"certificate").digest()}


@pytest.mark.parametrize(
    ("text", "named"),
    [
        ("{", "cannot be read"),
        ("[1]", r"\[1\]"),
        ("null", "None"),
        ('{"least": 3}', "least"),
        ('{"min_cohort": "5"}', "min_cohort is '5'"),
        ('{"min_cohort": 2}', "min_cohort is 2"),
        ('{"min_threshold": 3.5}', "min_threshold is 3.5"),
        ('{"min_threshold": true}', "min_threshold is True"),
        ('{"max_clipping_norm": NaN}', "NaN is no finite number"),
        ('{"max_clipping_norm": 0}', "max_clipping_norm is 0"),
        ('{"max_clipping_norm": "1"}', "max_clipping_norm is '1'"),
        ('{"pinned": ["ab"]}', "pinned is"),
        ('{"summations": []}', r"summations is \[\]"),
        ('{"summations": "masked"}', "summations is 'masked'"),
        ('{"summations": ["masked", "open"]}', "summations has"),
        ('{"units": []}', r"units is \[\]"),
        ('{"units": "site"}', "units is 'site'"),
        ('{"units": ["page"]}', "units has"),
        ('{"min_noise_multiplier": NaN}', "NaN is no finite number"),
        ('{"min_noise_multiplier": -1}', "min_noise_multiplier is -1"),
        ('{"min_noise_multiplier": true}', "min_noise_multiplier is True"),
        ('{"weights": {}}', "weights is {}"),
        ('{"weights": {"site-1": 0}}', "weights is"),
        ('{"weights": {"site-1": "1"}}', "weights is"),
        ('{"weights": [1]}', "weights is"),
        ('{"start_model": "ab"}', "start_model is 'ab'"),
        ('{"start_model": 7}', "start_model is 7"),
        ('{"once_per_model": 1}', "once_per_model is 1"),
        ('{"once_per_model": "noised"}', "once_per_model is 'noised'"),
        ('{"once_per_model": ["all"]}', "once_per_model is"),
        ('{"secret_seeds": 1}', "secret_seeds is 1"),
        ('{"hidden_weights": 0}', "hidden_weights is 0"),
        ('{"hidden_weights": true, "weights": {"site-1": 1}}', "beside weights"),
    ],
)
def test_a_policy_that_would_bound_nothing_is_refused(context: Callable[..., Any], text: str, named: str) -> None:
    """NaN above all: no clipping norm is above it, so it would let every job through."""
    with pytest.raises(ConfigError, match=named):
        read(context, text)


@pytest.mark.parametrize(
    ("text", "meant"),
    [("{}", "unnoised"), ('{"once_per_model": true}', "all"), ('{"once_per_model": false}', "none")]
    + [(f'{{"once_per_model": "{name}"}}', name) for name in ("all", "unnoised", "none")],
)
def test_once_per_model_holds_for_sums_without_noise_unless_the_policy_says_otherwise(
    context: Callable[..., Any], text: str, meant: str
) -> None:
    assert read(context, text).once_per_model == meant


@pytest.mark.parametrize("pin", ["xy", "ab" * 31, 7])
def test_a_pin_that_is_no_fingerprint_is_refused(pin: object) -> None:
    with pytest.raises(ConfigError, match="pin"):
        _ = SitePolicy(pinned={"site-1": pin}).fingerprints  # type: ignore[dict-item]


COHORT = {"site-1": 1.0, "site-2": 2.0, "site-3": 1.0}
PRIVATE = flat_terms(
    COHORT,
    rounds=2,
    min_sites=3,
    clipping_norm=1.0,
    noise_multiplier=0.8,
    epsilon_budget=50.0,
    summation="masked",
)


@pytest.mark.parametrize(
    ("at_the_floor", "above_it"),
    [
        ({"summations": ("masked",)}, {"summations": ("plain", "encrypted")}),
        ({"min_cohort": 3}, {"min_cohort": 4}),
        ({"min_threshold": 3}, {"min_threshold": 4}),
        ({"max_clipping_norm": 1.0}, {"max_clipping_norm": 0.99}),
        ({"min_noise_multiplier": 0.8}, {"min_noise_multiplier": 0.81}),
        ({"units": ["site"]}, {"units": ["patient"]}),
        ({"weights": COHORT}, {"weights": {**COHORT, "site-2": 1.0}}),
        ({"weights": COHORT}, {"weights": {"site-1": 1.0}}),
    ],
)
def test_each_floor_refuses_what_lies_below_it_and_says_its_name(
    at_the_floor: dict[str, Any], above_it: dict[str, Any]
) -> None:
    SitePolicy(**at_the_floor).check(PRIVATE)
    with pytest.raises(PolicyError, match=f"^{next(iter(above_it))}="):
        SitePolicy(**above_it).check(PRIVATE)


@pytest.mark.parametrize("limit", [{"max_clipping_norm": 9.0}, {"min_noise_multiplier": 0.1}])
def test_a_job_without_clipping_or_noise_is_under_every_floor_of_them(limit: dict[str, float]) -> None:
    with pytest.raises(PolicyError, match="None"):
        SitePolicy(**limit).check(flat_terms(COHORT, rounds=1, min_sites=1))  # type: ignore[arg-type]


def test_the_first_model_is_the_one_that_the_site_knows() -> None:
    known = hashlib.sha256(b"public start").digest()
    SitePolicy(start_model=known.hex()).check_start(known)
    SitePolicy().check_start(b"any")
    with pytest.raises(PolicyError, match="start_model="):
        SitePolicy(start_model=known.hex()).check_start(hashlib.sha256(b"another").digest())


def test_a_floor_holds_in_plain_jobs_before_anything_is_trained(context: Callable[..., Any]) -> None:
    terms = flat_terms(COHORT, rounds=1, min_sites=1)
    fl_ctx = context(terms=terms)
    policy_file = Path(fl_ctx.get_engine().get_workspace().get_site_config_dir()) / POLICY_FILE
    policy_file.write_text('{"summations": ["masked", "encrypted"]}', encoding="utf-8")
    request = TrainRequest(np.zeros(3, np.float32), 0, "a" * 32, "layout", "plan", terms.digest)
    answer = NnunetExecutor().execute(TRAIN, request.to_shareable(), fl_ctx, Signal())
    assert answer.get_header(ERROR_HEADER) == "its own limit summations=['masked', 'encrypted']: the job's is 'plain'"


def test_counts_of_a_site_are_asked_in_vain_where_its_knowledge_is_hidden(context: Callable[..., Any]) -> None:
    """Whatever filters the job put on 'validate': the executor itself refuses."""
    plan = plan_preset(PRIVATE.model.plan)
    model = np.zeros(parameter_count(plan), np.float32)
    for terms in (PRIVATE, varied(PRIVATE, summation="plain")):
        request = TrainRequest(model, 0, "a" * 32, plan.layout_digest, plan.hash, terms.digest)
        fl_ctx = context(terms=terms, task=VALIDATE)
        hide = [MaskUpdate()] if terms.summation == "masked" else []
        chains = fl_ctx.get_prop(FLContextKey.RUNNER).task_result_filters
        chains[f"{TRAIN}/out"] = [ClipUpdate(), StripResult(), *hide]
        answer = NnunetExecutor().execute(VALIDATE, request.to_shareable(), fl_ctx, Signal())
        assert answer.get_header(ERROR_HEADER) == "PrivacyError"
