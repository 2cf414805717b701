"""What is read first: a selective criterion's list, to be sorted, or lists that are in the order of the answer."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from toro_postgres.nodes import Node
from toro_postgres.order import Order
from toro_postgres.reader import Reader

__all__ = ["Access", "access", "again", "fewest", "hint", "singles"]

FEW = 2_000
"""Resources that are tested and sorted rather than found in the order of the answer."""
MERGED = 128
"""Lists that are merged; where there are more, the type is walked."""
_SURE = 64
"""Resources that may be tested and sorted whatever else there is."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Access:
    """How a criterion on a type is answered.

    What the driver lists is tested, in the order of the answer where it is `walked`; without one, the type is. Of several drivers,
    single lists all of them, the statement itself takes the one that leads through the order in the longest strides.
    """

    tid: int
    node: Node
    drivers: tuple[Node, ...]
    walked: bool


async def access(reader: Reader, tid: int, node: Node, order: Order) -> Access:
    """Choose what is read first, counting what cannot be walked."""
    lists = [each for each in node.conjuncts if each.listing]
    single = singles(node) if order.is_own else []
    # Between tight bounds a walk meets little but what they list.
    others = [each for each in lists if each not in single and not (order.is_own and each.bounds.tight)]
    walks = _alone(reader, single)
    if not others and (walks or not single):
        return Access(tid=tid, node=node, drivers=walks, walked=True)
    sure = min((each for each in others if each.most is not None), key=lambda each: each.most or 0, default=None)
    if sure and (sure.most or 0) <= _SURE:
        return Access(tid=tid, node=node, drivers=(sure,), walked=False)
    # The only list, and it is in order: whether it is long makes no difference.
    if not single and len(others) == 1 and _is_walked(order, others[0]):
        return Access(tid=tid, node=node, drivers=(others[0],), walked=True)
    if others and (few := await _few(reader, others, single)):
        return Access(tid=tid, node=node, drivers=(few,), walked=False)
    merged = [each for each in others if _is_walked(order, each)]
    if merged or not walks:
        best = await fewest(reader, [*single, *merged], 10 * FEW)
        walks = (best,) if best and best not in single else _alone(reader, single) or ((best,) if best else ())
    return Access(tid=tid, node=node, drivers=walks, walked=True)


def hint(how: Access) -> int:
    """Say in a number which criterion is read first, and how."""
    place = how.node.conjuncts.index(how.drivers[0]) + 1 if how.drivers else 0
    return 2 * place + how.walked


def again(reader: Reader, tid: int, node: Node, order: Order, said: object) -> Access | None:
    """Return what a cursor says was read first, None where that does not fit."""
    if not isinstance(said, int) or not 0 <= said // 2 <= len(node.conjuncts):
        return None
    driver = node.conjuncts[said // 2 - 1] if said // 2 else None
    walked = bool(said % 2)
    if driver is None:
        return Access(tid=tid, node=node, drivers=(), walked=True) if walked else None
    if not (_is_walked(order, driver) if walked else driver.listing):
        return None
    several = _alone(reader, singles(node)) if walked and len(driver.values) == 1 else ()
    return Access(tid=tid, node=node, drivers=several or (driver,), walked=walked)


def singles(node: Node) -> list[Node]:
    """Return the criteria that have one list, in the order of the resources' sort values."""
    return [each for each in node.conjuncts if len(each.values) == 1 <= MERGED]


async def fewest(reader: Reader, nodes: Sequence[Node], most: int) -> Node | None:
    """Return the criterion that lists least, looking at no more than a bound of each."""
    if len(nodes) < 2:
        return next(iter(nodes), None)
    counts = await reader.count([each.listing for each in nodes if each.listing], most)
    return nodes[counts.index(min(counts))]


async def _few(reader: Reader, nodes: Sequence[Node], single: Sequence[Node]) -> Node | None:
    """Return the criterion that lists least if it lists few, and a walk of a single list is likely to be longer."""
    # What is slow to list is not worth counting where another list can be walked.
    nodes = [each for each in nodes if not (single and each.is_slow)]
    listings = [each.listing for each in sorted(nodes, key=lambda each: each.is_slow) if each.listing]
    walks = [each.listing for each in single if each.listing]
    place = await reader.least(listings, FEW, walks) if listings else None
    return None if place is None else next(each for each in nodes if each.listing is listings[place])


def _alone(reader: Reader, single: Sequence[Node]) -> tuple[Node, ...]:
    """Return single lists among which a statement may choose by itself; on a cluster it may not."""
    return () if reader.database.is_cluster and len(single) > 1 else tuple(single)


def _is_walked(order: Order, node: Node) -> bool:
    return order.is_own and (0 < len(node.values) <= MERGED or (node.chosen is not None and MERGED > 0))
