"""A peer's way in: a process that takes batches, commits them, and puts each application on the queue.

    python -m benchmarks.peers.intake celery_peer

A line of JSON on stdin is a batch, `{"batch": …, "lines": […]}`; its answer, one line on stdout, are the ids
that the applications got, in order. It checks nothing of what it takes.
"""

from __future__ import annotations

import importlib
import json
import sys
import time
import uuid
from typing import Any

import psycopg

from benchmarks.peers import records
from benchmarks.peers.settings import DATABASE_URL


def main() -> None:
    peer: Any = importlib.import_module(f"benchmarks.peers.{sys.argv[1]}")
    with psycopg.connect(DATABASE_URL, autocommit=True) as database:
        for text in sys.stdin:
            at, given = time.time(), json.loads(text)
            taken = [
                (str(uuid.uuid4()), {"batch": given["batch"], "line": line}, at) for line in given["lines"]
            ]
            records.accept(database, taken)
            ids = [row[0] for row in taken]
            peer.submit(ids)
            sys.stdout.write(json.dumps(ids) + "\n")
            sys.stdout.flush()


if __name__ == "__main__":
    main()
