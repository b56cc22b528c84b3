"""The network of `straight_line.Line`, apart from it so that naming the task loads no torch."""

import torch
from torch import nn


class Intercept(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.value = nn.Parameter(torch.zeros(1))


class LineNetwork(nn.Module):
    def __init__(self, fault: str) -> None:
        super().__init__()
        self.slope = nn.Linear(2, 1, bias=False)
        self.intercept = Intercept()
        self.register_buffer("unit", torch.ones(1), persistent=False)
        self._fault = fault
        if fault == "a mean of its own":
            self.register_buffer("mean", torch.zeros(1))
        if fault == "batch norm":
            self.norm = nn.BatchNorm1d(2)
        if fault == "statistics of instances":
            self.norm = nn.InstanceNorm1d(2, affine=True, track_running_stats=True)
        if fault == "double precision":
            self.slope.double()

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        if self._fault == "a counter" and self.training:
            self.unit += 1
        if self._fault == "another shape":
            x = x[:, :1]
        return self.slope(x) + self.intercept.value


def network(fault: str) -> object:
    if fault == "no module":
        return {"slope": 1.0}
    if fault == "nothing to learn":
        return nn.ReLU()
    return LineNetwork(fault)
