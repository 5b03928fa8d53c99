"""Names for the array types that modules share; shapes stand in each docstring."""

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
Floats32 = npt.NDArray[np.float32]
Ints = npt.NDArray[np.int64]
Bools = npt.NDArray[np.bool_]
Times = npt.NDArray[np.datetime64]
Names = npt.NDArray[np.object_]
"""Text of any length."""
Ids = npt.NDArray[np.void]
"""Identities and digests as fixed bytes, dtype V16 unless a docstring says otherwise."""
