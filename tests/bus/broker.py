"""A private RabbitMQ: its own process, ports, data directory and cookie. Nothing else is touched."""

from __future__ import annotations

import os
import secrets
import shutil
import signal
import socket
import subprocess
import time
from contextlib import suppress
from pathlib import Path

_ERLANG = "-kernel inet_dist_use_interface {127,0,0,1} +S 1:1 +sbwt none"
_READY = "completed with"
_START_S = 120
#: Debian's wrapper on the PATH changes to another user; the script behind it doesn't.
_SCRIPTS = ("/usr/lib/rabbitmq/bin/rabbitmq-server", "/usr/local/sbin/rabbitmq-server")


class PrivateBroker:
    """RabbitMQ on free ports of the loopback interface. Keeps its data over `kill` and `start`."""

    def __init__(self, directory: Path) -> None:
        self.port, dist_port, epmd_port = free_ports(3)
        self.url = f"amqp://guest:guest@127.0.0.1:{self.port}//"
        self._directory = directory
        self._said = directory / "said.log"
        self._server: subprocess.Popen[bytes] | None = None
        self._environment = self._prepare(dist_port, epmd_port)
        self._epmd = subprocess.Popen(["epmd", "-port", str(epmd_port)], env=self._environment)
        # Else the server starts one itself, which nobody ends.
        wait_for_listener(epmd_port)

    @property
    def pid(self) -> int:
        """Of the process that was started; the server may be a child of it."""
        assert self._server is not None
        return self._server.pid

    @staticmethod
    def script() -> str | None:
        """The server's own script, where everything that it needs is installed."""
        found = next((each for each in _SCRIPTS if Path(each).exists()), shutil.which("rabbitmq-server"))
        return found if shutil.which("epmd") and shutil.which("erl") else None

    def _prepare(self, dist_port: int, epmd_port: int) -> dict[str, str]:
        directory = self._directory
        cookie = directory / ".erlang.cookie"
        cookie.write_text(secrets.token_hex(16))
        cookie.chmod(0o400)
        (directory / "plugins").write_text("[].\n")
        (directory / "rabbitmq.conf").write_text(
            f"listeners.tcp.1 = 127.0.0.1:{self.port}\nlog.console = true\nlog.file = false\n"
            "log.console.level = error\ndisk_free_limit.absolute = 10MB\n"
        )
        return {
            "PATH": os.environ["PATH"],
            "HOME": str(directory),
            "LANG": "C.UTF-8",
            "ERL_EPMD_PORT": str(epmd_port),
            "ERL_EPMD_ADDRESS": "127.0.0.1",
            "RABBITMQ_NODENAME": f"umrah{self.port}@localhost",
            "RABBITMQ_DIST_PORT": str(dist_port),
            "RABBITMQ_MNESIA_BASE": str(directory / "data"),
            "RABBITMQ_LOG_BASE": str(directory / "log"),
            "RABBITMQ_CONFIG_FILE": str(directory / "rabbitmq.conf"),
            "RABBITMQ_ENABLED_PLUGINS_FILE": str(directory / "plugins"),
            "RABBITMQ_CONF_ENV_FILE": "/dev/null",
            "RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS": _ERLANG,
        }

    def start(self) -> None:
        """Return when it takes connections."""
        script = self.script()
        assert script is not None
        # A file and no pipe: a server whose log nobody reads stands still.
        with self._said.open("w") as said:
            self._server = subprocess.Popen(
                [script],
                env=self._environment,
                cwd=self._directory,
                stdout=said,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        ends = time.monotonic() + _START_S
        while _READY not in self._said.read_text(errors="replace"):
            died = self._server.poll() is not None or time.monotonic() > ends
            assert not died, "the broker did not start: " + self._said.read_text(errors="replace")[-2000:]
            time.sleep(0.1)

    def kill(self) -> None:
        """End it at once, as a power cut would."""
        if self._server is None:
            return
        os.killpg(self._server.pid, signal.SIGKILL)
        self._server.wait()
        self._server = None

    def freeze(self) -> None:
        """Let it hold its connections and answer nothing."""
        assert self._server is not None
        os.killpg(self._server.pid, signal.SIGSTOP)

    def thaw(self) -> None:
        """Let it go on."""
        assert self._server is not None
        os.killpg(self._server.pid, signal.SIGCONT)

    def close(self) -> None:
        """End everything that was started."""
        self.kill()
        self._epmd.terminate()
        self._epmd.wait()


def wait_for_listener(port: int) -> None:
    """Return when something takes connections on `port`."""
    ends = time.monotonic() + 10
    while time.monotonic() < ends:
        with suppress(OSError), socket.create_connection(("127.0.0.1", port)):
            return
        time.sleep(0.02)
    raise AssertionError("nothing listens")


def free_ports(count: int) -> list[int]:
    """Ports that nobody listens on now."""
    sockets = [socket.socket() for _ in range(count)]
    for each in sockets:
        each.bind(("127.0.0.1", 0))
    ports = [each.getsockname()[1] for each in sockets]
    for each in sockets:
        each.close()
    return ports
