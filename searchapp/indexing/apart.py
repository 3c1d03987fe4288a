"""Work on a batch together; where that fails one by one, so that only the one at fault pays.

Knows neither pages nor vectors, only what the engine's errors mean for a batch.
"""

import logging
from collections.abc import Callable, Sequence
from typing import TypeVar

from searchapp import engine
from searchapp.errors import EngineLost, SearchappError, Unavailable, unexpected

logger = logging.getLogger(__name__)

_RETRY_SECONDS = 5
_ENGINE_BACK_SECONDS = 30
Item = TypeVar("Item")


def work_apart(
    items: Sequence[Item],
    *,
    work: Callable[[Sequence[Item]], None],
    fail: Callable[[Item, SearchappError], None],
    release: Callable[[Sequence[Item], int], None],
) -> bool:
    """Do `work` on all; `fail` the one that cannot be done, `release` what may be done later.

    False when the engine is away or loads the model: then they wait, and no attempt is counted.
    """

    def apart(some: Sequence[Item]) -> bool:
        try:
            work(some)
        except EngineLost as error:
            engine.wait_reachable(_ENGINE_BACK_SECONDS)
            return blame(some, error)
        except Unavailable as error:
            logger.warning("pages wait: %s", error)
            release(some, _RETRY_SECONDS)
            return False
        except Exception as error:  # noqa: BLE001  (the top of a task)
            return blame(some, error)
        return True

    def blame(some: Sequence[Item], error: Exception) -> bool:
        if len(some) > 1:
            return min(apart([one]) for one in some)
        known = error if isinstance(error, SearchappError) else unexpected(error, str(some[0]))
        fail(some[0], known)
        return True

    return apart(items)
