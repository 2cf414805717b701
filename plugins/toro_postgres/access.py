"""What is read first: a selective criterion's list, to be sorted, or a list that is in the order of the answer."""

from __future__ import annotations

from dataclasses import dataclass

from toro_postgres.nodes import Node
from toro_postgres.order import Order
from toro_postgres.reader import Reader

__all__ = ["Access", "access", "again", "fewest", "hint"]

FEW = 2_000
"""Resources that are tested and sorted rather than found in the order of the answer."""
MERGED = 64
"""Lists that are merged; where there are more, the type is walked."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Access:
    """How a criterion on a type is answered: `driver` lists what is tested, in the order of the answer where it is `walked`."""

    tid: int
    node: Node
    driver: Node | None
    walked: bool


async def access(reader: Reader, tid: int, node: Node, order: Order) -> Access:
    """Choose what is read first."""
    candidates = [each for each in node.conjuncts if each.listing]
    # The only list, and it is in order: whether it is long makes no difference.
    if len(candidates) == 1 and order.is_own and 0 < len(candidates[0].values) <= MERGED:
        return Access(tid=tid, node=node, driver=candidates[0], walked=True)
    least = await fewest(reader, candidates, FEW)
    if least and least[1] < FEW:
        return Access(tid=tid, node=node, driver=least[0], walked=False)
    lists = [each for each in candidates if 0 < len(each.values) <= MERGED] if order.is_own else []
    driver = (await fewest(reader, lists, 10 * FEW) or (None,))[0] if len(lists) > 1 else next(iter(lists), None)
    return Access(tid=tid, node=node, driver=driver, walked=True)


def hint(how: Access) -> int:
    """Say in a number which criterion is read first, and how."""
    place = 0 if how.driver is None else how.node.conjuncts.index(how.driver) + 1
    return 2 * place + how.walked


def again(tid: int, node: Node, order: Order, said: object) -> Access | None:
    """Return what a cursor says was read first, None where that does not fit."""
    if not isinstance(said, int) or not 0 <= said // 2 <= len(node.conjuncts):
        return None
    driver = node.conjuncts[said // 2 - 1] if said // 2 else None
    walked = bool(said % 2)
    if driver is None:
        return Access(tid=tid, node=node, driver=None, walked=True) if walked else None
    fits = order.is_own and 0 < len(driver.values) <= MERGED if walked else driver.listing is not None
    return Access(tid=tid, node=node, driver=driver, walked=walked) if fits else None


async def fewest(reader: Reader, nodes: list[Node], most: int) -> tuple[Node, int] | None:
    """Return the criterion that lists least, and how much that is, looking at no more than a bound of each."""
    if not nodes:
        return None
    counts = await reader.count([each.listing for each in nodes if each.listing], most)
    least = min(counts)
    return nodes[counts.index(least)], least
