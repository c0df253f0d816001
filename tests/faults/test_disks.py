"""The small disk fills up and is freed; writes fail on demand, and only then."""

from __future__ import annotations

import errno
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.faults.disks import FailingWrites, SmallDisk, fiu, may_mount
from tests.required import required


def test_a_small_disk_takes_nothing_once_it_is_full_and_everything_once_it_is_freed(tmp_path: Path) -> None:
    required("the right to mount a file system", may_mount())
    with SmallDisk(tmp_path / "small", 1) as disk:
        disk.fill()
        assert disk.free_bytes() == 0
        with pytest.raises(OSError) as failure:
            (disk.folder / "more").write_bytes(b"x" * 4096)
        assert failure.value.errno == errno.ENOSPC
        (disk.folder / "more").unlink()
        disk.free()
        (disk.folder / "more").write_bytes(b"x" * 4096)
    assert not (tmp_path / "small" / "more").exists()


_WRITES = """
import os, sys
file = os.open(sys.argv[1], os.O_WRONLY | os.O_CREAT)
for line in sys.stdin:
    try:
        os.pwrite(file, b"x", 0)
        os.fdatasync(file)
        print(0, flush=True)
    except OSError as error:
        print(error.errno, flush=True)
"""


@pytest.mark.processes
def test_writes_fail_on_demand_and_sockets_and_pipes_go_on(tmp_path: Path) -> None:
    required("libfiu (fiu-utils)", fiu())
    writes = FailingWrites(tmp_path)
    with subprocess.Popen(
        [*writes.launcher, sys.executable, "-c", _WRITES, str(tmp_path / "file")],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env=dict(os.environ),
    ) as process:
        assert process.stdin is not None and process.stdout is not None

        def tried() -> int:
            assert process.stdin is not None and process.stdout is not None
            process.stdin.write("\n")
            process.stdin.flush()
            return int(process.stdout.readline())

        assert tried() == 0
        for number in (errno.EIO, errno.EROFS):
            writes.fail(process.pid, number)
            assert tried() == number
            writes.mend(process.pid)
            assert tried() == 0
        process.stdin.close()
