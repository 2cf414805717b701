"""Data from one storage to another or to files: `migrating` moves all, `exporting` writes NDJSON, `tally` proves it."""

from toro_core.moving.exporting import Exported, Selection, export
from toro_core.moving.migrating import migrate
from toro_core.moving.tally import Difference, Tally, differences, same_state, tally

__all__ = [
    "Difference",
    "Exported",
    "Selection",
    "Tally",
    "differences",
    "export",
    "migrate",
    "same_state",
    "tally",
]
