"""How fast batches are read: lines a second in each format, beside `json.loads` of the same data.

python -m benchmarks.read_batch [LINES]
"""

from __future__ import annotations

import io
import json
import sys
import time
from collections.abc import Callable
from datetime import date
from typing import Any

from adapters.service_centers import MEDIA_TYPES, READERS
from adapters.service_centers.sample import sample_batch, write_batch

CHUNK_BYTES = 65_536


def main(count: int) -> None:
    """Print one row a format."""
    header, applications = sample_batch(count, 1, date(2026, 7, 1), clean=True)
    lines = list(applications)
    texts = [json.dumps(line, ensure_ascii=False) for line in lines]
    loads_s = seconds(lambda: [json.loads(text) for text in texts])
    print(f"json.loads  {count / loads_s:>9,.0f} lines/s")
    for name in MEDIA_TYPES:
        body = written(name, header, lines)
        took_s = seconds(lambda name=name, body=body: read(name, body))
        print(
            f"{name:<10}  {count / took_s:>9,.0f} lines/s  {took_s / count * 1e6:6.1f} us a line"
            f"  {took_s / loads_s:5.2f} x json.loads  {len(body) / 1e6:6.1f} MB"
        )


def written(name: str, header: dict[str, Any], lines: list[dict[str, Any]]) -> bytes:
    """The batch as bytes in the format `name`."""
    out = io.BytesIO()
    write_batch(name, header, lines, out)
    return out.getvalue()


def read(name: str, body: bytes) -> int:
    """Read the whole body in chunks; the number of items."""
    parser = READERS[MEDIA_TYPES[name]].open(max_line_bytes=524_288, max_lines=1_000_000)
    found = 0
    for start in range(0, len(body), CHUNK_BYTES):
        found += sum(1 for _ in parser.feed(body[start : start + CHUNK_BYTES]))
    return found + sum(1 for _ in parser.close())


def seconds(work: Callable[[], object]) -> float:
    """The best of three runs, in CPU seconds."""
    return min(_once(work) for _ in range(3))


def _once(work: Callable[[], object]) -> float:
    began = time.process_time()
    work()
    return time.process_time() - began


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 10_000)
