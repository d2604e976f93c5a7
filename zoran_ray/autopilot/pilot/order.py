"""In which order repositories are worked on that need each other. Pure: knows numbers, no repository."""

from collections.abc import Sequence
from collections.abc import Set as AbstractSet


def reached(needs: Sequence[AbstractSet[int]]) -> list[frozenset[int]]:
    """What each needs, and what that needs, and so on. Whoever is among it itself stands in a cycle.

    Args:
        needs: Of each, by their places.
    """
    found = [set(each) for each in needs]
    for middle in range(len(found)):  # Source: Warshall, "A theorem on Boolean matrices", J. ACM 9, 1962
        for each in found:
            if middle in each:
                each |= found[middle]
    return [frozenset(each) for each in found]


def ordered(needs: Sequence[AbstractSet[int]]) -> list[int]:
    """Places in an order in which everything comes after what it needs; else as they are given.

    Of a cycle nobody can say what comes first: those who stand in it stay as they are given among
    themselves, and the rest is in order all the same.
    """
    all_needs, order = reached(needs), list[int]()
    left = list(range(len(needs)))
    while left:
        free = next(
            each for each in left if all(each in all_needs[other] for other in all_needs[each] & {*left})
        )
        left.remove(free)
        order.append(free)
    return order
