"""All that reads what somebody else wrote."""

from typing import Final

from benchmarks.fuzz.datasets import DATASETS
from benchmarks.fuzz.pictures import PICTURES
from benchmarks.fuzz.runs import Parser
from benchmarks.fuzz.sum_messages import MESSAGES
from benchmarks.fuzz.texts import TEXTS

PARSERS: Final[tuple[Parser, ...]] = (*PICTURES, *TEXTS, *DATASETS, *MESSAGES)
