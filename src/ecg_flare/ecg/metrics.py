"""How close a recovered recording comes to the true one: two signal-to-noise ratios, correlation, error, coverage.

Both ratios are SNR = 10 log10(sum x^2 / sum (x - y)^2) of the truth x and the aligned prediction y, in dB. They differ
in how y is aligned and what a missing sample costs:

- *PhysioNet 2024* (Reyna et al. 2024, Computing in Cardiology 51): each lead is moved by up to 0.5 s and 1 mV; the
  ratio is taken where both are known and multiplied by the covered fraction of the lead.
- *Kaggle 2025* (PhysioNet - Digitization of ECG Images): each lead is moved by up to 0.2 s, any offset is removed, a
  missing sample counts as 0 mV, and the powers are summed over the leads of an image before the ratio is taken.

NaN is never zero by itself. Where the truth is NaN (not printed) nothing is compared and the prediction is ignored.
Where the prediction alone is NaN the sample is *uncovered*.
"""

from dataclasses import dataclass
from typing import Final

import numpy as np
from jaxtyping import Bool, Float, Float64, Int64

from ecg_flare.ecg.record import Recording
from ecg_flare.errors import RecordError

KAGGLE_MAX_SHIFT_S: Final = 0.2
PHYSIONET_MAX_SHIFT_S: Final = 0.5
PHYSIONET_MAX_OFFSET_MV: Final = 1.0

Signals = Float64[np.ndarray, "leads samples"]
PerLead = Float64[np.ndarray, " leads"]


@dataclass(frozen=True, eq=False)
class Alignment:
    """A prediction moved onto the truth, lead by lead: `signal(t) = prediction(t - shift_s) + offset_mv`."""

    signal_mv: Signals
    shift_s: PerLead
    offset_mv: PerLead


@dataclass(frozen=True)
class LeadScore:
    """One lead's scores. SNR in dB, correlation and RMSE after the Kaggle 2025 alignment, whose moves are given too.

    An SNR is inf for a perfect lead and NaN where the truth has no power; `pcc` is NaN where a signal is constant,
    `pcc` and `rmse_mv` where nothing is covered. The two `read_` ratios are the same ones against the truth where
    the prediction has samples, NaN where it has none: they tell how well what was read was read, and not how much.
    """

    lead: str
    snr_db_kaggle2025: float
    snr_db_physionet2024: float
    pcc: float
    rmse_mv: float
    coverage: float
    shift_s: float
    offset_mv: float
    read_snr_db_kaggle2025: float = float("nan")
    read_snr_db_physionet2024: float = float("nan")


@dataclass(frozen=True)
class RecordingScore:
    """A recording's scores: one row a lead that the truth has, and the whole.

    `snr_db_kaggle2025`, `pcc`, `rmse_mv` and `coverage` are taken over the samples of all leads together,
    `snr_db_physionet2024` is the mean of the leads. The two `read_` ratios are those over what was read (`LeadScore`).
    """

    name: str
    leads: tuple[LeadScore, ...]
    snr_db_kaggle2025: float
    snr_db_physionet2024: float
    pcc: float
    rmse_mv: float
    coverage: float
    read_snr_db_kaggle2025: float = float("nan")
    read_snr_db_physionet2024: float = float("nan")


def evaluate_recording(pred: Recording, truth: Recording) -> RecordingScore:
    """Score a recovered recording against the true one.

    The prediction's rows are matched to the truth's by lead name, resampled to its rate if that differs, and cut or
    padded with NaN to its length. Raises RecordError if the truth has no finite sample.
    """
    pred_mv, truth_mv = _on_same_grid(pred, truth)
    recorded = np.isfinite(truth_mv).any(axis=1)
    if not recorded.any():
        raise RecordError(f"Truth {truth.name!r} has no finite sample in any lead: there is nothing to compare with.")
    pred_mv, truth_mv = pred_mv[recorded], truth_mv[recorded]
    lead_names = [name for name, present in zip(truth.lead_names, recorded, strict=True) if present]
    moved = align(pred_mv, truth_mv, truth.fs_hz, KAGGLE_MAX_SHIFT_S)
    physionet = snr_db_physionet2024(pred_mv, truth_mv, truth.fs_hz)
    read_mv = np.where(np.isfinite(pred_mv), truth_mv, np.nan)
    moved_to_read = align(pred_mv, read_mv, truth.fs_hz, KAGGLE_MAX_SHIFT_S).signal_mv
    read_physionet = snr_db_physionet2024(pred_mv, read_mv, truth.fs_hz)
    leads = tuple(
        LeadScore(
            lead=name,
            snr_db_kaggle2025=_pooled_snr_db(moved.signal_mv[[row]], truth_mv[[row]]),
            snr_db_physionet2024=float(physionet[row]),
            pcc=pcc(moved.signal_mv[row], truth_mv[row]),
            rmse_mv=rmse_mv(moved.signal_mv[row], truth_mv[row]),
            coverage=coverage(pred_mv[row], truth_mv[row]),
            shift_s=float(moved.shift_s[row]),
            offset_mv=float(moved.offset_mv[row]),
            read_snr_db_kaggle2025=_pooled_snr_db(moved_to_read[[row]], read_mv[[row]]),
            read_snr_db_physionet2024=float(read_physionet[row]),
        )
        for row, name in enumerate(lead_names)
    )
    return RecordingScore(
        name=truth.name or pred.name,
        leads=leads,
        snr_db_kaggle2025=_pooled_snr_db(moved.signal_mv, truth_mv),
        snr_db_physionet2024=_mean_db(physionet),
        pcc=pcc(moved.signal_mv, truth_mv),
        rmse_mv=rmse_mv(moved.signal_mv, truth_mv),
        coverage=coverage(pred_mv, truth_mv),
        read_snr_db_kaggle2025=_pooled_snr_db(moved_to_read, read_mv),
        read_snr_db_physionet2024=_mean_db(read_physionet),
    )


def snr_db_kaggle2025(
    pred_mv: Float[np.ndarray, "leads samples"], truth_mv: Float[np.ndarray, "leads samples"], fs_hz: float
) -> float:
    """Return the Kaggle 2025 SNR of one image in dB: shift up to 0.2 s, offset removed, power pooled over the leads.

    A sample that is missing, in the prediction or because the shift moved it past the end, counts as 0 mV there: its
    whole signal power is error. inf if nothing differs, NaN if the truth has no power. The competition's total over
    several images averages the power ratios, not the decibels, and caps each; that is left to the caller.
    """
    pred, truth = _checked(pred_mv, truth_mv)
    return _pooled_snr_db(align(pred, truth, fs_hz, KAGGLE_MAX_SHIFT_S).signal_mv, truth)


def snr_db_physionet2024(
    pred_mv: Float[np.ndarray, "leads samples"], truth_mv: Float[np.ndarray, "leads samples"], fs_hz: float
) -> PerLead:
    """Return the PhysioNet 2024 SNR of each lead in dB: shift up to 0.5 s, offset up to 1 mV, times the coverage.

    The ratio is taken over the samples known in both after the move; the covered fraction is `coverage`, before it. A
    negative ratio is left as it is, since a fraction of it would reward missing samples. 0 dB if nothing is covered
    (as a silent prediction would get), inf if nothing differs, NaN if the truth has no power.
    """
    pred, truth = _checked(pred_mv, truth_mv)
    moved = align(pred, truth, fs_hz, PHYSIONET_MAX_SHIFT_S, PHYSIONET_MAX_OFFSET_MV).signal_mv
    both = np.isfinite(moved) & np.isfinite(truth)
    signal = np.where(both, truth, 0.0)
    noise = np.where(both, truth - moved, 0.0)
    decibels = _decibels((signal**2).sum(axis=1), (noise**2).sum(axis=1))
    recorded = np.isfinite(truth).sum(axis=1)
    covered = (np.isfinite(pred) & np.isfinite(truth)).sum(axis=1) / np.maximum(recorded, 1)
    scored = np.where(decibels > 0, decibels * np.where(covered > 0, covered, 1), decibels)
    # A whole lead of the truth that is missing scores 0 dB; one that the truth has not is undefined.
    return np.where(both.any(axis=1), scored, np.where(recorded > 0, 0.0, np.nan))


def pcc(pred_mv: Float[np.ndarray, "..."], truth_mv: Float[np.ndarray, "..."]) -> float:
    """Return Pearson's correlation over the samples that both have; NaN for fewer than two, or a constant signal."""
    pred, truth = _common_samples(pred_mv, truth_mv)
    if pred.size < 2:
        return float("nan")
    pred, truth = pred - pred.mean(), truth - truth.mean()
    norms = float(np.linalg.norm(pred) * np.linalg.norm(truth))
    return float(np.clip(pred @ truth / norms, -1.0, 1.0)) if norms > 0 else float("nan")


def rmse_mv(pred_mv: Float[np.ndarray, "..."], truth_mv: Float[np.ndarray, "..."]) -> float:
    """Return the root of the mean squared difference in mV over the samples that both have; NaN if there is none."""
    pred, truth = _common_samples(pred_mv, truth_mv)
    return float(np.sqrt(np.mean((pred - truth) ** 2))) if pred.size else float("nan")


def coverage(pred_mv: Float[np.ndarray, "..."], truth_mv: Float[np.ndarray, "..."]) -> float:
    """Return which fraction of the truth's finite samples the prediction has, 0 to 1; NaN if the truth has none."""
    _check_shapes(pred_mv, truth_mv)
    recorded = np.isfinite(truth_mv)
    return float((recorded & np.isfinite(pred_mv)).sum() / recorded.sum()) if recorded.any() else float("nan")


def align(
    pred_mv: Float[np.ndarray, "leads samples"],
    truth_mv: Float[np.ndarray, "leads samples"],
    fs_hz: float,
    max_shift_s: float,
    max_offset_mv: float = np.inf,
) -> Alignment:
    """Move each lead in time to its largest cross-correlation with the truth, then by its mean difference from it.

    Within the truth's span both signals are freed of their mean, gaps count as the mean, and the shift (whole samples,
    up to `max_shift_s`, the smallest of equals) maximizes their inner product. What moves past the end is lost, and
    what comes in is NaN.
    """
    pred, truth = _checked(pred_mv, truth_mv)
    pred = np.where(_span(np.isfinite(truth)), pred, np.nan)
    lags = _best_lags(pred, truth, int(max_shift_s * fs_hz))
    moved = _shifted(pred, lags)
    offsets = np.clip(_finite_mean(truth - moved), -max_offset_mv, max_offset_mv)
    return Alignment(moved + offsets[:, None], lags / fs_hz, offsets)


def _best_lags(pred: Signals, truth: Signals, max_lag: int) -> Int64[np.ndarray, " leads"]:
    n_samples = truth.shape[1]
    max_lag = min(max_lag, n_samples - 1)
    n_fft = 1 << (n_samples + max_lag - 1).bit_length()
    truth, pred = _centred(truth), _centred(pred)
    correlation = np.fft.irfft(np.fft.rfft(truth, n_fft) * np.conj(np.fft.rfft(pred, n_fft)), n_fft)
    # Ordered from lag 0 outwards, so that the first of equal maxima is the smallest shift.
    lags = np.array(sorted(range(-max_lag, max_lag + 1), key=abs), dtype=np.int64)
    candidates = correlation[:, lags % n_fft]
    largest = candidates.max(axis=1, keepdims=True)
    norms = np.linalg.norm(truth, axis=1, keepdims=True) * np.linalg.norm(pred, axis=1, keepdims=True)
    best: Int64[np.ndarray, " leads"] = lags[np.argmax(candidates >= largest - 1e-12 * norms, axis=1)]
    return best


def _shifted(signal: Signals, lags: Int64[np.ndarray, " leads"]) -> Signals:
    n_samples = signal.shape[1]
    sources = np.arange(n_samples)[None, :] - lags[:, None]
    inside = (sources >= 0) & (sources < n_samples)
    return np.where(inside, np.take_along_axis(signal, np.clip(sources, 0, n_samples - 1), axis=1), np.nan)


def _span(finite: Bool[np.ndarray, "leads samples"]) -> Bool[np.ndarray, "leads samples"]:
    from_first = np.logical_or.accumulate(finite, axis=1)
    to_last = np.logical_or.accumulate(finite[:, ::-1], axis=1)[:, ::-1]
    return np.asarray(from_first & to_last)


def _centred(signal: Signals) -> Signals:
    centred = signal - _finite_mean(signal)[:, None]
    return np.where(np.isfinite(centred), centred, 0.0)


def _finite_mean(signal: Signals) -> PerLead:
    finite = np.isfinite(signal)
    mean: PerLead = np.where(finite, signal, 0.0).sum(axis=1) / np.maximum(finite.sum(axis=1), 1)
    return mean


def _pooled_snr_db(moved: Signals, truth: Signals) -> float:
    recorded = np.isfinite(truth)
    signal = np.where(recorded, truth, 0.0)
    noise = signal - np.where(recorded & np.isfinite(moved), moved, 0.0)
    return float(_decibels((signal**2).sum(), (noise**2).sum()))


def _decibels(
    signal_power: Float[np.ndarray, "..."], noise_power: Float[np.ndarray, "..."]
) -> Float64[np.ndarray, "..."]:
    with np.errstate(divide="ignore", invalid="ignore"):
        ratio_db = 10 * np.log10(np.asarray(signal_power) / np.asarray(noise_power))
    return np.where(np.asarray(signal_power) > 0, ratio_db, np.nan)


def _mean_db(decibels: PerLead) -> float:
    defined = decibels[~np.isnan(decibels)]
    return float(defined.mean()) if defined.size else float("nan")


def _common_samples(
    pred_mv: Float[np.ndarray, "..."], truth_mv: Float[np.ndarray, "..."]
) -> tuple[Float64[np.ndarray, " n"], Float64[np.ndarray, " n"]]:
    _check_shapes(pred_mv, truth_mv)
    both = np.isfinite(pred_mv) & np.isfinite(truth_mv)
    return pred_mv[both].astype(np.float64), truth_mv[both].astype(np.float64)


def _checked(
    pred_mv: Float[np.ndarray, "leads samples"], truth_mv: Float[np.ndarray, "leads samples"]
) -> tuple[Signals, Signals]:
    _check_shapes(pred_mv, truth_mv)
    if pred_mv.ndim != 2 or pred_mv.shape[1] == 0:
        raise RecordError(
            f"Signals must have the shape (leads, samples) and at least one sample, found {pred_mv.shape}."
        )
    return np.asarray(pred_mv, dtype=np.float64), np.asarray(truth_mv, dtype=np.float64)


def _check_shapes(pred_mv: Float[np.ndarray, "..."], truth_mv: Float[np.ndarray, "..."]) -> None:
    if pred_mv.shape != truth_mv.shape:
        raise RecordError(
            f"The prediction's shape {pred_mv.shape} is not the truth's {truth_mv.shape}; "
            "evaluate_recording brings recordings of other lengths and rates together."
        )


def _on_same_grid(pred: Recording, truth: Recording) -> tuple[Signals, Signals]:
    arranged = pred.arranged(truth.lead_names)
    if arranged.fs_hz != truth.fs_hz:
        arranged = arranged.resampled(truth.fs_hz)
    on_grid = np.full(truth.signal_mv.shape, np.nan)
    n_common = min(truth.n_samples, arranged.n_samples)
    on_grid[:, :n_common] = arranged.signal_mv[:, :n_common]
    return on_grid, truth.signal_mv.astype(np.float64)
