"""Writes rows to the table `note` from four threads and prints the number of each after it was acknowledged."""

from __future__ import annotations

import sys
from concurrent.futures import ThreadPoolExecutor

from sqlalchemy import text

from holdfast.storage import Storage, Tx


def main(path: str, first: str, count: str) -> None:
    storage = Storage(path)
    statement = text("INSERT INTO note (id, text) VALUES (:id, 'child')")

    def write(number: int) -> None:
        def fn(tx: Tx) -> None:
            tx.execute(statement, {"id": 2 * number})
            tx.execute(statement, {"id": 2 * number + 1})

        storage.write(fn)
        sys.stdout.write(f"{number}\n")
        sys.stdout.flush()

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(write, range(int(first), int(first) + int(count))))
    storage.close()


main(*sys.argv[1:])
