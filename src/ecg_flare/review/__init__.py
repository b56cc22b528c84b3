"""A local web app: a person looks at what was read of each page, corrects it, and confirms it."""

from typing import TYPE_CHECKING

from ecg_flare.lazy import face

_NAMES = {
    "decisions": ("Decision", "Review"),
    "folder": ("ReviewFolder",),
    "journal": ("Journal",),
}

if TYPE_CHECKING:
    from ecg_flare.review.decisions import Decision, Review
    from ecg_flare.review.folder import ReviewFolder
    from ecg_flare.review.journal import Journal
else:
    __getattr__, __dir__ = face(__name__, _NAMES)

__all__ = ["Decision", "Journal", "Review", "ReviewFolder"]
