"""The one family of errors that Loopcast raises on purpose: what was found, what is needed, the next step."""


class LoopcastError(Exception):
    """Something a person can put right; its message is written for that person."""


class ProblemError(LoopcastError):
    """A problem's YAML asks for something that cannot be."""


class SettingsError(LoopcastError):
    """A LOOPCAST_ variable of the environment has a value that cannot be."""


class SourceError(LoopcastError):
    """The data that a problem names cannot be read, or has other columns than the problem says."""


class DataRefusedError(LoopcastError):
    """Too much of the data breaks its contract; the refused rows are kept in the quarantine table."""


class StoreError(LoopcastError):
    """A store (database, artifacts, registry) is unreachable, of another version, or holds changed bytes."""


class OutdatedError(StoreError):
    """What was asked is about a champion that is in service no longer, or has no predecessor; nothing was changed."""


class ReproductionError(LoopcastError):
    """A model version cannot be rebuilt bit for bit here; the message names the difference."""


class ModelRefusedError(LoopcastError):
    """A model's files do not answer as the model did when it was trained; it is not put into service."""


class AttributionError(LoopcastError):
    """The width of a forecast cannot be attributed to its features."""


class PackagingError(LoopcastError):
    """A Bento cannot be built, or does not answer as the model in it."""
