"""Synthetic patients: deterministic, coherent records that are valid US Core 6.1.0."""

from toro_core.synthetic.bench import bench_resources
from toro_core.synthetic.generate import ANCHOR, generate
from toro_core.synthetic.registration import BALANCE

__all__ = ["ANCHOR", "BALANCE", "bench_resources", "generate"]
