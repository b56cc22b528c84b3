"""Plans: their size, their hash, and the flat vector that never counts a tensor twice."""

import dataclasses
import subprocess
import sys

import numpy as np
import pytest
import torch

from ecg_flare.errors import ConfigError, PlanMismatchError, UpdateError
from ecg_flare.federated.update import layout_digest
from ecg_flare.nnunet.kinds import plan_preset, preset_names, verified_plan
from ecg_flare.nnunet.plan import (
    flatten,
    initial_vector,
    network,
    network_layout,
    parameter_count,
    parameter_layout,
    unflatten_into,
)


def conv_unet_parameters(features: list[int], *, bias: bool, channels: int = 3, classes: int = 4) -> int:
    """nnU-Net's PlainConvUNet counted by hand: two 3x3 convolutions a stage with affine norms, 2x2 upsampling."""

    def block(n_in: int, n_out: int) -> int:
        return 9 * n_in * n_out + bias * n_out + 2 * n_out

    encoder = sum(
        block(n_in, n_out) + block(n_out, n_out)
        for n_in, n_out in zip([channels, *features[:-1]], features, strict=True)
    )
    decoder = 0
    for below, here in zip(features[:0:-1], features[-2::-1], strict=True):
        decoder += 4 * below * here + bias * here  # transposed convolution
        decoder += block(2 * here, here) + block(here, here)
        decoder += here * classes + classes  # deep supervision head
    return encoder + decoder


@pytest.mark.parametrize(
    ("name", "features", "bias", "count"),
    [
        ("tiny", [8, 16, 32, 64], False, 121_348),
        ("small", [16, 32, 64, 128, 128], False, 1_287_424),
        ("paper", [32, 64, 128, 256, 512, 512, 512], True, 33_475_416),
    ],
)
def test_parameter_counts(name: str, features: list[int], bias: bool, count: int) -> None:
    assert parameter_count(plan_preset(name)) == count
    assert conv_unet_parameters(features, bias=bias) == count


@pytest.mark.parametrize("name", preset_names())
def test_stored_layouts_are_those_of_the_networks(name: str) -> None:
    plan = plan_preset(name)
    with torch.device("meta"):
        module = network(plan)
    assert parameter_layout(plan) == network_layout(module)
    assert plan.layout_digest == layout_digest(network_layout(module))


def test_knowing_a_layout_costs_no_torch() -> None:
    code = (
        "import sys; from ecg_flare.nnunet.kinds import plan_preset; plan_preset('paper').layout_digest; "
        "import ecg_flare.nnunet.worker, ecg_flare.nnunet.sources; "
        "print([m for m in ('torch', 'nnunetv2', 'monai') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_the_hash_is_stable_over_processes() -> None:
    code = "from ecg_flare.nnunet.kinds import plan_preset; print(plan_preset('tiny').hash)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == plan_preset("tiny").hash


def test_the_hash_sees_every_change() -> None:
    plan = plan_preset("tiny")
    plans, dataset_json = plan.nnunet_plans(), plan.nnunet_dataset_json()
    plans["configurations"]["2d"]["patch_size"] = [128, 264]
    dataset_json["labels"] = {"background": 0, "pulse": 1, "trace": 2, "print": 3}
    hashes = {
        plan.hash,
        *(plan_preset(name).hash for name in preset_names()),
        dataclasses.replace(plan, plans=plans).hash,
        dataclasses.replace(plan, dataset_json=dataset_json).hash,
    }
    for constant, value in (("normalized_px_per_mm", 5.0), ("trace_width_px", 4)):
        assert constant in plan.meaning
        hashes.add(dataclasses.replace(plan, meaning={**plan.meaning, constant: value}).hash)
    assert len(hashes) == 7
    assert dataclasses.replace(plan, name="another name").hash == plan.hash


def test_nnunet_cannot_change_a_plan() -> None:
    plan = plan_preset("tiny")
    before = plan.hash
    plan.nnunet_plans()["configurations"].clear()
    assert dataclasses.replace(plan).hash == before


def test_an_unknown_plan_names_the_known() -> None:
    with pytest.raises(ConfigError, match=r"'huge'.*tiny, small, paper"):
        plan_preset("huge")


def test_another_hash_is_refused() -> None:
    assert verified_plan("tiny", plan_preset("tiny").hash) is plan_preset("tiny")
    with pytest.raises(PlanMismatchError, match="0000"):
        verified_plan("tiny", "0000")


def test_the_vector_holds_each_parameter_once() -> None:
    plan = plan_preset("tiny")
    module = network(plan)
    unique = {parameter.data_ptr(): parameter.numel() for parameter in module.parameters()}
    aliased = sum(tensor.numel() for tensor in module.state_dict().values())
    assert flatten(module).shape == (sum(unique.values()),) == (parameter_count(plan),)
    assert aliased > 2.5 * parameter_count(plan)


def test_unflatten_reaches_every_alias() -> None:
    module = network(plan_preset("tiny"))
    vector = np.arange(parameter_count(plan_preset("tiny")), dtype=np.float32)
    unflatten_into(module, vector)
    np.testing.assert_array_equal(flatten(module), vector)
    named = dict(module.named_parameters())
    for name, tensor in module.state_dict().items():
        twin = next(parameter for parameter in named.values() if parameter.data_ptr() == tensor.data_ptr())
        assert torch.equal(tensor, twin), name


def test_a_vector_of_another_length_is_refused() -> None:
    plan = plan_preset("tiny")
    with pytest.raises(UpdateError, match="121348"):
        unflatten_into(network(plan), np.zeros(5, np.float32))


def test_initialization_follows_its_seed_and_leaves_the_generator_alone() -> None:
    plan = plan_preset("tiny")
    before = torch.random.get_rng_state()
    first, again, other = initial_vector(plan, 1), initial_vector(plan, 1), initial_vector(plan, 2)
    np.testing.assert_array_equal(first, again)
    assert not np.array_equal(first, other)
    assert torch.equal(torch.random.get_rng_state(), before)


def test_a_page_multiple_passes_the_network() -> None:
    plan = plan_preset("tiny")
    assert plan.size_multiple == 8
    assert plan.configuration["patch_size"] == [128, 256]
    with torch.inference_mode():
        assert network(plan)(torch.zeros(1, 3, 24, 40)).shape == (1, 4, 24, 40)
