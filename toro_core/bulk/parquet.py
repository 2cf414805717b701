"""Files of exports as Parquet: https://parquet.apache.org"""

from __future__ import annotations

from typing import Any, Final

import pyarrow as pa
import pyarrow.parquet as pq

from toro_core.bulk.columns import Columns
from toro_core.bulk.files import Output
from toro_core.definitions import Definitions
from toro_core.json import loads

__all__ = ["ParquetEncoder"]

_GROUP_BYTES: Final = 4 << 20
"""JSON that makes a row group."""


class ParquetEncoder:
    """Writes resources of one type as rows."""

    def __init__(self, definitions: Definitions, resource_type: str, output: Output) -> None:
        """Write to this file."""
        self._layout = definitions.derived(Columns).of(resource_type)
        self._counted = _Counted(output)
        self._writer: Any = pq.ParquetWriter(self._counted, self._layout.schema, compression="zstd")
        self._lines: list[bytes] = []
        self._size = 0

    def write(self, lines: list[bytes]) -> None:
        """Write resources."""
        self._lines += lines
        self._size += sum(map(len, lines))
        if self._size >= _GROUP_BYTES:
            self._flush()

    def close(self) -> int:
        """Complete the file."""
        self._flush()
        self._writer.close()
        self._counted.output.close()
        return self._counted.size

    def _flush(self) -> None:
        rows = [self._layout.row(loads(line)) for lines in self._lines for line in lines.split(b"\n")]
        self._lines, self._size = [], 0
        if rows:
            self._writer.write_table(pa.Table.from_pylist(rows, schema=self._layout.schema))


class _Counted:
    """A file as pyarrow wants it, which stays open when pyarrow has done, and its size."""

    closed = False

    def __init__(self, output: Output) -> None:
        self.output = output
        self.size = 0

    def write(self, data: Any) -> int:
        taken = bytes(data)
        self.output.write(taken)
        self.size += len(taken)
        return len(taken)

    def tell(self) -> int:
        return self.size

    def flush(self) -> None:
        """Leave that to the file."""

    def close(self) -> None:
        """Leave that to the encoder."""
