"""What of a plan that a job brings may become a class, a function or a path: names on an exact list, and nothing else.

nnU-Net imports whatever a plans.json names (its network, its layers, how it resamples), and makes folders of the names
in it. So a plan is held to this list before nnU-Net sees it.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Final

from ecg_flare.documents import Fields, short
from ecg_flare.errors import ConfigError, EcgFlareError
from ecg_flare.nnunet.plan import Plan

_UNET: Final = "dynamic_network_architectures.architectures.unet"
_LAYER: Final = "torch.nn.modules"
_RESAMPLING: Final = ("resample_data_or_seg_to_shape", "resample_torch_fornnunet", "no_resampling_hack")
_READERS: Final = ("SimpleITKIO", "SimpleITKIOWithReorient", "NibabelIO", "NibabelIOWithReorient", "NaturalImage2DIO")

# key of plans.json, of the configuration and of the architecture's arguments -> what it may name
_OF_PLANS: Final = {"image_reader_writer": (*_READERS, "Tiff3DIO"), "label_manager": ("LabelManager",)}
_OF_CONFIGURATION: Final = {
    "preprocessor_name": ("DefaultPreprocessor",),
    "resampling_fn_data": _RESAMPLING,
    "resampling_fn_seg": _RESAMPLING,
    "resampling_fn_probabilities": _RESAMPLING,
}
_OF_NETWORK: Final = {
    "conv_op": tuple(f"{_LAYER}.conv.Conv{n}d" for n in (2, 3)),
    "norm_op": tuple(f"{_LAYER}.instancenorm.InstanceNorm{n}d" for n in (2, 3)),
    "dropout_op": (None,),
    "nonlin": ("torch.nn.LeakyReLU",),
}
_NETWORKS: Final = tuple(f"{_UNET}.{name}" for name in ("PlainConvUNet", "ResidualEncoderUNet", "ResidualUNet"))
_NORMALIZATION: Final = tuple(f"{name}Normalization" for name in ("ZScore", "CT", "No", "RescaleTo01", "RGBTo01"))
_SAFE_NAME: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}")
_ENDINGS: Final = (".nii.gz", ".nrrd", ".mha", ".gipl", ".nii", ".png", ".bmp", ".tif", ".tiff")
_INTENSITIES: Final = "foreground_intensity_properties_per_channel"
_OF_CT: Final = ("mean", "std", "percentile_00_5", "percentile_99_5")
_MAX_INTENSITY: Final = 1e9
_MAX_SIDE: Final = 4096
_MAX_STRIDE: Final = 16
_MAX_LABEL: Final = 65_535
_MAX_STAGES: Final = 12
_MAX_FEATURES: Final = 2048


def check_plan(plan: Plan) -> Plan:
    """The plan, once nothing in it names what is not listed; raises ConfigError naming the entry."""
    where = f"the plan {plan.name!r}"
    check_description(plan.dataset_json, f"{where}, dataset.json", ConfigError)
    plans = Fields(plan.plans, where, ConfigError)
    _names(plans, _OF_PLANS, where)
    check_dataset_name(plan.plans.get("dataset_name"), f"{where}, dataset_name")
    configurations = plans.within("configurations")
    if plan.configuration_name not in configurations:
        raise ConfigError(
            f"{where} has no configuration {plan.configuration_name!r}: it has {', '.join(configurations)}"
        )
    _check_configuration(configurations[plan.configuration_name], f"{where}, {plan.configuration_name}", plan)
    _check_intensities(plans, where, plan)
    return plan


def _check_intensities(plans: Fields, where: str, plan: Plan) -> None:
    """Raise ConfigError where nnU-Net's preprocessor would look for what is not there."""
    where = f"{where}, {_INTENSITIES}"
    intensities = plans.mapping(_INTENSITIES)
    found = Fields(intensities, where, ConfigError)
    for channel, scheme in enumerate(plan.configuration["normalization_schemes"]):
        if str(channel) not in intensities:
            raise ConfigError(
                f"{where} has no channel {channel}, which {scheme} asks for: take nnU-Net's own plans.json"
            )
        known = Fields(found.mapping(str(channel)), f"{where}, channel {channel}", ConfigError)
        for name in _OF_CT if scheme == "CTNormalization" else ():
            known.number(name, -_MAX_INTENSITY, _MAX_INTENSITY)


def _check_configuration(found: Fields, where: str, plan: Plan) -> None:
    configuration = plan.configuration
    _names(found, _OF_CONFIGURATION, where)
    check_dataset_name(configuration.get("data_identifier"), f"{where}, data_identifier")
    schemes = found.texts("normalization_schemes")
    if unknown := [scheme for scheme in schemes if scheme not in _NORMALIZATION]:
        raise ConfigError(f"{where}: normalization {unknown[0]!r} is none of {', '.join(_NORMALIZATION)}")
    if len(schemes) != len(plan.channels):
        raise ConfigError(f"{where} normalizes {len(schemes)} channels, its dataset.json has {len(plan.channels)}")
    found.whole("batch_size", 1, 10_000)
    patch = found.series("patch_size", 1, _MAX_SIDE)
    whole = all(type(side) is int for side in configuration["patch_size"])
    spacing = found.series("spacing", 0, 1e6)
    if len(patch) not in (2, 3) or not whole or len(spacing) != len(patch) or not all(spacing):
        raise ConfigError(
            f"{where}: patch_size {list(patch)} and spacing {list(spacing)} need two numbers each, or three"
        )
    if configuration.get("previous_stage"):
        raise ConfigError(f"{where} goes on from another stage (a cascade), which cannot be federated: take another")
    network = Fields(configuration.get("architecture"), f"{where}, architecture", ConfigError)
    _listed(network.text("network_class_name"), _NETWORKS, f"{where}, network_class_name")
    imported = tuple(network.texts("_kw_requires_import"))
    if unknown := sorted(set(imported) - set(_OF_NETWORK)):
        raise ConfigError(f"{where}: _kw_requires_import has {unknown[0]!r}, expected {', '.join(_OF_NETWORK)} alone")
    arguments = Fields(network.mapping("arch_kwargs"), f"{where}, arch_kwargs", ConfigError)
    _names(arguments, _OF_NETWORK, f"{where}, arch_kwargs")
    stages = arguments.whole("n_stages", 2, _MAX_STAGES)
    arguments.series("features_per_stage", 1, _MAX_FEATURES)
    strides = arguments.each("strides", _MAX_STAGES)
    steps = [step for stage in strides if isinstance(stage, list) and len(stage) == len(patch) for step in stage]
    known = len(steps) == stages * len(patch) and all(type(step) is int and 1 <= step <= _MAX_STRIDE for step in steps)
    if not known:
        raise ConfigError(f"{where}: strides are {short(strides)}, expected {len(patch)} numbers for each stage")


def check_description(description: Mapping[str, Any], where: str, error: type[EcgFlareError]) -> None:
    """Hold a dataset.json to the form that nnU-Net 2 gives it; raises `error` naming the entry."""
    dataset = Fields(description, where, error)
    _listed(dataset.text("file_ending"), _ENDINGS, f"{where}, file_ending", error)
    if description.get("overwrite_image_reader_writer") not in (None, "None"):
        reader = dataset.text("overwrite_image_reader_writer")
        _listed(reader, _OF_PLANS["image_reader_writer"], f"{where}, overwrite_image_reader_writer", error)
    channels = dataset.mapping("channel_names")
    if sorted(channels) != sorted(map(str, range(len(channels)))) or not channels:
        raise error(f"{where}: channel_names are {short(sorted(channels))}, expected '0', '1' and so on")
    if not all(isinstance(name, str) for name in channels.values()):
        raise error(f"{where}: channel_names are {short(dict(channels))}, expected a name for each")
    labels = dataset.mapping("labels")
    for name, value in labels.items():
        values = value if isinstance(value, list) else [value]
        if not values or not all(type(each) is int and 0 <= each < _MAX_LABEL for each in values):
            raise error(f"{where}: label {short(name)} is {short(value)}, expected a whole number, or several")
    regions = [value for name, value in labels.items() if name not in ("background", "ignore")]
    if labels.get("background") != 0 or not regions:
        raise error(f"{where}: labels are {short(dict(labels))}, expected background 0 and at least one more")
    if any(isinstance(value, list) and len(value) > 1 for value in regions):
        order = dataset.series("regions_class_order", 0, _MAX_LABEL)
        if len(order) != len(regions):
            raise error(f"{where}: regions_class_order has {len(order)} values for {len(regions)} regions")


def check_dataset_name(name: object, where: str) -> str:
    """The name, of which nnU-Net makes a folder, once it can be one; raises ConfigError, saying `where`."""
    if not isinstance(name, str) or not _SAFE_NAME.fullmatch(name):
        raise ConfigError(f"{where} is {short(name)}, expected letters, digits, '-', '_' and '.'")
    return name


def _names(found: Fields, allowed: Mapping[str, tuple[Any, ...]], where: str) -> None:
    for key, names in allowed.items():
        _listed(found.text(key) if None not in names else found.text(key, None), names, f"{where}, {key}")


def _listed(value: object, names: tuple[Any, ...], where: str, error: type[EcgFlareError] = ConfigError) -> None:
    if value not in names:
        raise error(f"{where} is {short(value)}, expected {' or '.join(map(str, names))}")
