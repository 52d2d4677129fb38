"""The number of BLAS threads."""

import numpy as np
from threadpoolctl import threadpool_info

from engine.threads import limit_threads


def test_blas_threads_are_limited() -> None:
    np.ones((2, 2)) @ np.ones((2, 2))
    for threads in (2, 1):  # every test starts with one
        limit_threads(threads)
        found = [library["num_threads"] for library in threadpool_info() if library["user_api"] == "blas"]
        assert found
        assert set(found) == {threads}
