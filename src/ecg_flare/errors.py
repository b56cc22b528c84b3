"""The exceptions of ecg_flare, one tree.

    EcgFlareError
    ├── InputError            a value, file or folder that was handed in cannot be used
    │   ├── RecordError       a recording (WFDB, PTB-XL) is missing, corrupt or out of shape
    │   ├── LayoutError       a page layout or site profile is unknown or contradicts itself
    │   ├── PageError         a page image cannot be read, or is not an ECG page
    │   ├── ConfigError       a job, plan or command has an impossible setting
    │   └── SiteDataError     a site's pages cannot train (none, one patient, no masks)
    ├── PlanMismatchError     two sides hold different nnU-Net plans
    ├── UpdateError           an update is not what this round asked for
    ├── PrivacyError          a step would weaken what was promised
    │   ├── BudgetError       the round would pass the privacy budget
    │   ├── PolicyError       a job is outside a site's own limits
    │   ├── EncodingError     the integer sum could wrap, or left its bounds
    │   ├── LedgerError       the ledger is corrupt, or does not belong to this cohort
    │   │   └── LedgerInUseError  another job writes to it
    │   └── SecureSumError    a message or a peer broke secure aggregation
    ├── RoundError            a round had too few answers
    ├── ReviewError           a decision about a page cannot be made, or its journal not be trusted
    ├── StorageError          a file could not be written durably
    └── WorkerError           the training process died or answered with an error

Every message says what was found, what was expected, and what to do.
"""


class EcgFlareError(Exception):
    """Base of all errors that ecg_flare raises on purpose."""


class InputError(EcgFlareError, ValueError):
    """A value, file or folder that was handed in cannot be used."""


class RecordError(InputError):
    """A recording is missing, corrupt or out of shape."""


class LayoutError(InputError):
    """A page layout or site profile is unknown or contradicts itself."""


class PageError(InputError):
    """A page image cannot be read, or is not an ECG page."""


class ConfigError(InputError):
    """A job, plan or command has an impossible setting."""


class SiteDataError(InputError):
    """A site's pages cannot train: there are none, one patient only, or no masks.

    `what` is what was found; `remedy` what to do about it, where the message says that apart.
    """

    def __init__(self, what: str, remedy: str = "") -> None:
        super().__init__(f"{what}: {remedy}" if remedy else what)
        self.what = what
        self.remedy = remedy


class PlanMismatchError(EcgFlareError):
    """Two sides hold different nnU-Net plans."""


class UpdateError(EcgFlareError):
    """An update is not what this round asked for."""


class PrivacyError(EcgFlareError):
    """A step would weaken what was promised."""


class BudgetError(PrivacyError):
    """The round would pass the privacy budget."""


class PolicyError(PrivacyError):
    """A job is outside a site's own limits.

    The message is `NAME=LIMIT: what the job has`, of public values alone, and so may leave the site.
    """


class EncodingError(PrivacyError):
    """The integer sum could wrap, or left its bounds."""


class LedgerError(PrivacyError):
    """The ledger is corrupt, or does not belong to this cohort."""


class LedgerInUseError(LedgerError):
    """Another job writes to the ledger."""


class SecureSumError(PrivacyError):
    """A message or a peer broke secure aggregation."""


class RoundError(EcgFlareError):
    """A round had too few answers to be closed."""


class ReviewError(EcgFlareError):
    """A decision about a page cannot be made, or the journal of decisions cannot be trusted."""


class StorageError(EcgFlareError):
    """A file could not be written durably."""


class WorkerError(EcgFlareError):
    """The training process died or answered with an error."""
