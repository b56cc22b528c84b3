"""A residual network in one dimension, with group norm: it classifies recordings of twelve leads."""

import torch
from torch import Tensor, nn
from torch.nn import functional

_GROUPS = 8


class Block(nn.Module):
    """Two convolutions and a way around them; a stride of 2 halves the samples."""

    def __init__(self, before: int, after: int, stride: int) -> None:
        super().__init__()
        self.first = nn.Conv1d(before, after, 7, stride, 3, bias=False)
        self.first_norm = nn.GroupNorm(_GROUPS, after)
        self.second = nn.Conv1d(after, after, 7, 1, 3, bias=False)
        self.second_norm = nn.GroupNorm(_GROUPS, after)
        self.around = nn.Conv1d(before, after, 1, stride, bias=False) if (before, stride) != (after, 1) else None

    def forward(self, signal: Tensor) -> Tensor:
        inner = functional.relu(self.first_norm(self.first(signal)))
        inner = self.second_norm(self.second(inner))
        kept = signal if self.around is None else self.around(signal)
        return functional.relu(inner + kept)


class ResNet1d(nn.Module):
    """Recordings (cases, 12, samples) to logits (cases, classes).

    In training each recording is shifted in time and, every second one, cut to what a page of 3x4 leads prints, so that
    the network also takes recordings that were read from paper.

    Args:
        classes: how many.
        width: channels of the first stage, a multiple of 8; the stages after it have up to three times as many.
    """

    def __init__(self, classes: int, width: int) -> None:
        super().__init__()
        widths = [width, width, 2 * width, 2 * width, 3 * width]
        self.stem = nn.Conv1d(12, width, 15, 2, 7, bias=False)
        self.stem_norm = nn.GroupNorm(_GROUPS, width)
        stages = zip(widths, widths[1:], (1, 2, 2, 2), strict=False)
        self.stages = nn.Sequential(*(Block(before, after, stride) for before, after, stride in stages))
        self.head = nn.Linear(2 * widths[-1], classes)

    def forward(self, signal: Tensor) -> Tensor:
        if self.training:
            signal = printed_3x4(shifted(signal), torch.rand(len(signal)) < 0.5)
        features = self.stages(functional.max_pool1d(functional.relu(self.stem_norm(self.stem(signal))), 2))
        logits: Tensor = self.head(torch.cat([features.mean(2), features.amax(2)], 1))
        return logits


def shifted(signal: Tensor) -> Tensor:
    """Each recording shifted by up to a second at 100 Hz, its end before its beginning."""
    steps = torch.randint(-100, 101, (len(signal),)).tolist()
    return torch.stack([one.roll(step, 1) for one, step in zip(signal, steps, strict=True)])


def printed_3x4(signal: Tensor, which: Tensor) -> Tensor:
    """The recordings that `which` names, cut to what a page prints: a quarter of each lead, and lead II whole."""
    samples = signal.shape[2]
    column = torch.arange(12) // 3  # I, II, III; aVR, aVL, aVF; V1 to V3; V4 to V6
    quarter = torch.arange(samples) * 4 // samples
    shown = (column[:, None] == quarter[None, :]) | (torch.arange(12) == 1)[:, None]
    return torch.where(which[:, None, None], signal * shown, signal)
