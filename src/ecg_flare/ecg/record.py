"""A recording in memory, and as a WFDB record on disk.

WFDB is PhysioNet's format (Moody et al. 2022): a text header, `NAME.hea`, and signal files of integers in
analogue-to-digital units (adu). Records are written in format 16 at 1000 adu/mV, as PTB-XL's are: steps of 1 µV, an
error of at most 0.5 µV, up to 32.767 mV. The value -32768 means "nothing recorded" and is NaN in memory.
"""

import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np
from jaxtyping import Bool, Float32, Float64, Int16

from ecg_flare.ecg.header_faults import header_fault, holds_fields
from ecg_flare.ecg.leads import ALL_LEADS, LEADS, normalize_lead_name, with_extra
from ecg_flare.errors import RecordError, StorageError

if TYPE_CHECKING:
    from wfdb import Record

GAIN_ADU_PER_MV: Final = 1000.0
"""Gain of written records; a signal beyond 32.767 mV is written with a lower one that it fits."""

MISSING_ADU: Final = -32768
"""Stands in a file for a sample that is not there, NaN in memory."""

_LARGEST_ADU: Final = 32767
_MV_PER_UNIT: Final = {"mv": 1.0, "uv": 1e-3, "µv": 1e-3, "μv": 1e-3, "v": 1e3, "nv": 1e-6}
_RECORD_NAME: Final = re.compile(r"[A-Za-z0-9_-]+")
_MAX_RATE_DENOMINATOR: Final = 1000
_MAX_VALUES: Final = 100_000_000
"""Samples of all leads: at 500 per second, four and a half hours of twelve."""


@dataclass(frozen=True, eq=False)
class Recording:
    """Signals of the standard leads, in mV, sampled together.

    `signal_mv` has one row a lead, float32 (any other float is converted), NaN where nothing was recorded or printed.
    `lead_names` are distinct names of `ALL_LEADS`, in any order. `left_out` names the signals of its file that are no
    lead of these. Raises RecordError if a field is out of shape.
    """

    signal_mv: Float32[np.ndarray, "leads samples"]
    fs_hz: float
    lead_names: tuple[str, ...] = LEADS
    name: str = ""
    patient_id: str = ""
    left_out: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        _check_signal(self.signal_mv, self.lead_names)
        if not (np.isfinite(self.fs_hz) and self.fs_hz > 0):
            raise RecordError(f"fs_hz must be a positive number of samples per second, found {self.fs_hz}.")
        with np.errstate(over="ignore"):
            signal = np.asarray(self.signal_mv, dtype=np.float32)
        if np.isinf(signal).any():
            raise RecordError("signal_mv holds infinite values; use NaN where nothing was recorded.")
        object.__setattr__(self, "signal_mv", signal)
        object.__setattr__(self, "fs_hz", float(self.fs_hz))
        object.__setattr__(self, "lead_names", tuple(self.lead_names))

    @property
    def n_samples(self) -> int:
        """Samples of each lead."""
        return int(self.signal_mv.shape[1])

    @property
    def duration_s(self) -> float:
        """Length in seconds."""
        return self.n_samples / self.fs_hz

    def lead(self, name: str) -> Float32[np.ndarray, " samples"]:
        """Return one lead's signal in mV; RecordError if the recording has no such lead."""
        try:
            row: Float32[np.ndarray, " samples"] = self.signal_mv[self.lead_names.index(name)]
        except ValueError:
            raise RecordError(f"Recording {self.name!r} has no lead {name!r}; it has {self.lead_names}.") from None
        return row

    def around_medians(self) -> Float64[np.ndarray, "leads samples"]:
        """Each lead in mV around its median, NaN where nothing was recorded."""
        signal = self.signal_mv.astype(np.float64)
        medians = [np.median(lead[known]) if (known := np.isfinite(lead)).any() else 0.0 for lead in signal]
        centred: Float64[np.ndarray, "leads samples"] = signal - np.array(medians)[:, None]
        return centred

    def arranged(self, lead_names: Sequence[str] = LEADS) -> "Recording":
        """Return the same recording with its rows in the given order; leads that it has not are NaN."""
        signal = np.full((len(lead_names), self.n_samples), np.nan, dtype=np.float32)
        for row, lead_name in enumerate(lead_names):
            if lead_name in self.lead_names:
                signal[row] = self.lead(lead_name)
        return replace(self, signal_mv=signal, lead_names=tuple(lead_names))

    def resampled(self, fs_hz: float) -> "Recording":
        """Return the recording at another rate; see `resample`."""
        return replace(self, signal_mv=resample(self.signal_mv, self.fs_hz, fs_hz), fs_hz=fs_hz)


def resample(
    signal_mv: Float32[np.ndarray, "leads samples"], fs_hz: float, new_fs_hz: float
) -> Float32[np.ndarray, "leads new_samples"]:
    """Resample each lead by a polyphase filter: low-passed at half the lower rate, first samples coincide.

    The ratio of the rates is taken as the nearest fraction of a denominator up to 1000. Gaps (NaN) are bridged by
    straight lines for the filter's sake and are NaN again in the result, between the same instants. The result has
    ceil(samples * new_fs_hz / fs_hz) samples. Raises RecordError if a rate is not positive.
    """
    from fractions import Fraction

    from scipy.signal import resample_poly

    if not (0 < fs_hz < np.inf and 0 < new_fs_hz < np.inf):
        raise RecordError(f"Rates must be positive numbers, found {fs_hz} and {new_fs_hz} samples per second.")
    ratio = Fraction(new_fs_hz / fs_hz).limit_denominator(_MAX_RATE_DENOMINATOR)
    if ratio == 0:
        raise RecordError(f"Cannot resample from {fs_hz} to {new_fs_hz} samples per second: the ratio is too small.")
    if signal_mv.size * ratio > _MAX_VALUES:
        rates = f"{fs_hz} to {new_fs_hz} samples per second"
        raise RecordError(f"Cannot resample from {rates}: it would have more than {_MAX_VALUES} values.")
    if ratio == 1 or signal_mv.shape[1] == 0:
        return np.array(signal_mv, dtype=np.float32)
    recorded = np.isfinite(signal_mv)
    bridged = np.stack([_bridge_gaps(row, finite) for row, finite in zip(signal_mv, recorded, strict=True)])
    resampled = resample_poly(bridged, ratio.numerator, ratio.denominator, axis=1, padtype="line")
    instants = np.arange(resampled.shape[1]) * ratio.denominator / ratio.numerator
    before = np.minimum(np.floor(instants).astype(int), signal_mv.shape[1] - 1)
    after = np.minimum(np.ceil(instants).astype(int), signal_mv.shape[1] - 1)
    return np.where(recorded[:, before] & recorded[:, after], resampled, np.nan).astype(np.float32)


def write_wfdb(recording: Recording, folder: Path, name: str) -> Path:
    """Write `NAME.hea` and `NAME.dat` (format 16) into `folder`, which is made if need be, and return the header.

    The patient's identifier is kept as a header comment. Raises RecordError if WFDB cannot hold the name (letters,
    digits, - and _) or an empty recording, StorageError if a file cannot be written.
    """
    import wfdb

    if not _RECORD_NAME.fullmatch(name):
        raise RecordError(f"A WFDB record's name is made of letters, digits, - and _ alone; found {name!r}.")
    if recording.n_samples == 0:
        raise RecordError(f"Recording {name!r} has no samples; WFDB cannot hold an empty record.")
    adu, gain = to_adu(recording.signal_mv)
    n_leads = len(recording.lead_names)
    comments = [f"patient_id: {recording.patient_id}"] if recording.patient_id else []
    try:
        folder.mkdir(parents=True, exist_ok=True)
        wfdb.wrsamp(
            name,
            fs=recording.fs_hz,
            units=["mV"] * n_leads,
            sig_name=list(recording.lead_names),
            d_signal=adu.T,
            fmt=["16"] * n_leads,
            adc_gain=[gain] * n_leads,
            baseline=[0] * n_leads,
            comments=comments,
            write_dir=str(folder),
        )
    except OSError as error:
        raise StorageError(f"Could not write WFDB record {name!r} into {folder}: {error}.") from error
    return folder / f"{name}.hea"


def read_wfdb(path: Path) -> Recording:
    """Read a WFDB record, `path` with or without `.hea`: the twelve leads in standard order, then its extra ones.

    Names are normalized (see leads.py), units brought to mV; a lead that the record has not is NaN throughout. A lead
    that it holds inverted ("-aVR", as Cabrera pages print it) is turned back. Other channels (breath, vector leads) are
    named in `left_out`. Raises RecordError, naming the file, if it is missing, cannot be parsed, points outside its
    folder, is cut short, fails its checksum, or has no lead at all.
    """
    stem = path.with_suffix("") if path.suffix == ".hea" else path
    header_path = stem.with_name(f"{stem.name}.hea")
    if not header_path.is_file():
        raise RecordError(
            f"No WFDB header at {header_path}; give the path of a .hea file, which has its .dat beside it."
        )
    with _parsing(header_path):
        record = _read_adu(stem)
        physical = record.dac()
    _verify_checksums(record, header_path)
    rows, left_out = _rows_by_lead(record, header_path)
    lead_names = with_extra(rows)
    signal_mv = np.full((len(lead_names), len(record.d_signal)), np.nan, dtype=np.float32)
    for lead_name, (channel, mv_per_unit) in rows.items():
        signal_mv[lead_names.index(lead_name)] = physical[:, channel] * mv_per_unit
    patient_id = _patient_id(record.comments)
    return Recording(signal_mv, record.fs, lead_names, name=stem.name, patient_id=patient_id, left_out=left_out)


@contextmanager
def _parsing(header_path: Path) -> Iterator[None]:
    # wfdb checks little of what it parses: a damaged file surfaces as whichever of these its code happens to meet.
    damaged = (OSError, ValueError, LookupError, TypeError, AttributeError, ArithmeticError, MemoryError)
    try:
        yield
    except RecordError:
        raise
    except FileNotFoundError as error:
        raise RecordError(
            f"WFDB record {header_path} names a signal file that is missing: {error.filename}."
        ) from error
    except damaged as error:
        if fault := header_fault(header_path):
            raise RecordError(f"The WFDB header {header_path} cannot be parsed: {fault}.") from error
        raise RecordError(f"WFDB record {header_path} is corrupt or cut short ({error}); fetch it again.") from error


def _read_adu(stem: Path) -> "Record":
    import wfdb

    header = wfdb.rdheader(str(stem))
    if not isinstance(header, wfdb.Record):
        raise RecordError(f"{stem}.hea is a multi-segment record; read one of its segments instead.")
    for signal_file in header.file_name or ():
        if Path(signal_file).name != signal_file or "\\" in signal_file or signal_file in ("..", "~"):
            raise RecordError(f"{stem}.hea names the signal file {signal_file!r}, outside its own folder: refused.")
    record = wfdb.rdrecord(str(stem), physical=False)
    if record.d_signal is None or record.d_signal.size == 0:
        raise RecordError(f"WFDB record {stem}.hea holds no samples.")
    return record


def _verify_checksums(record: Any, header_path: Path) -> None:
    if any(frames != 1 for frames in record.samps_per_frame):
        return  # a smoothed signal is no longer what the checksum was taken of
    for lead_name, found, expected in zip(record.sig_name, record.calc_checksum(), record.checksum, strict=True):
        if expected is not None and found != expected % 65536:
            raise RecordError(
                f"Signal {lead_name!r} of {header_path} is corrupt: its checksum is {found}, "
                f"the header says {expected % 65536}; fetch the record again."
            )


def _rows_by_lead(record: Any, header_path: Path) -> tuple[dict[str, tuple[int, float]], tuple[str, ...]]:
    """Lead -> its channel and mV per unit, negative where the channel holds it inverted; and the other names."""
    rows: dict[str, tuple[int, float]] = {}
    left_out: list[str] = []
    for channel, (raw_name, unit) in enumerate(zip(record.sig_name, record.units, strict=True)):
        upright = (raw_name or "").strip().removeprefix("-")
        lead_name = normalize_lead_name(upright)
        if lead_name is None:
            left_out.append(raw_name or f"signal {channel + 1}, which has no name")
            continue
        if lead_name in rows:
            raise RecordError(f"{header_path} has lead {lead_name} twice (as {raw_name!r}); keep one of them.")
        mv_per_unit = _MV_PER_UNIT.get((unit or "mV").lower())
        if mv_per_unit is None:
            raise RecordError(f"Lead {raw_name!r} of {header_path} is in {unit!r}; expected one of mV, uV, nV, V.")
        rows[lead_name] = (channel, -mv_per_unit if upright != (raw_name or "").strip() else mv_per_unit)
    if any(map(holds_fields, left_out)) and (fault := header_fault(header_path)):
        raise RecordError(f"The WFDB header {header_path} cannot be parsed: {fault}.")
    if not rows:
        raise RecordError(
            f"{header_path} has none of the leads {', '.join(ALL_LEADS)}; its signals are {record.sig_name}."
        )
    return rows, tuple(left_out)


def _patient_id(comments: Sequence[str] | None) -> str:
    for comment in comments or ():
        key, _, value = comment.partition(":")
        if key.strip().lower() == "patient_id":
            return value.strip()
    return ""


def _check_signal(signal_mv: object, lead_names: Sequence[str]) -> None:
    if not isinstance(signal_mv, np.ndarray) or signal_mv.ndim != 2 or signal_mv.dtype.kind != "f":
        found = (
            f"{signal_mv.dtype} {signal_mv.shape}" if isinstance(signal_mv, np.ndarray) else type(signal_mv).__name__
        )
        raise RecordError(f"signal_mv must be a floating-point array of shape (leads, samples), found {found}.")
    if len(lead_names) != signal_mv.shape[0]:
        raise RecordError(f"signal_mv has {signal_mv.shape[0]} rows for {len(lead_names)} lead names {lead_names}.")
    unknown = [lead_name for lead_name in lead_names if lead_name not in ALL_LEADS]
    if unknown:
        raise RecordError(f"Unknown leads {unknown}; expected names from {ALL_LEADS} (see normalize_lead_name).")
    if len(set(lead_names)) != len(lead_names):
        raise RecordError(f"Lead names must be distinct, found {tuple(lead_names)}.")


def _bridge_gaps(
    row: Float32[np.ndarray, " samples"], finite: Bool[np.ndarray, " samples"]
) -> Float64[np.ndarray, " samples"]:
    if not finite.any():
        return np.zeros(row.shape)
    samples = np.arange(row.size)
    bridged: Float64[np.ndarray, " samples"] = np.interp(samples, samples[finite], row[finite])
    return bridged


def to_adu(signal_mv: Float32[np.ndarray, "leads samples"]) -> tuple[Int16[np.ndarray, "leads samples"], float]:
    """Return the samples as whole numbers, MISSING_ADU for NaN, and how many of them a millivolt has."""
    recorded = np.isfinite(signal_mv)
    peak_mv = float(np.abs(signal_mv, where=recorded, out=np.zeros_like(signal_mv)).max(initial=0.0))
    gain = GAIN_ADU_PER_MV if peak_mv * GAIN_ADU_PER_MV <= _LARGEST_ADU else _LARGEST_ADU / peak_mv
    adu = np.rint(np.where(recorded, signal_mv, 0).astype(np.float64) * gain)
    return np.where(recorded, adu, MISSING_ADU).astype(np.int16), gain
