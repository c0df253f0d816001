"""Where the peers find what they use: environment variables, set by the harness."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Final

PARTNERS_URL: Final = os.environ.get("PEER_PARTNERS_URL", "http://127.0.0.1:8090")
DATABASE_URL: Final = os.environ.get("PEER_DATABASE_URL", "postgresql://postgres@127.0.0.1/postgres")
BROKER_URL: Final = os.environ.get("PEER_BROKER_URL", "amqp://guest:guest@127.0.0.1:5672//")
#: Messages that one process of an asynchronous peer holds at once.
PREFETCH: Final = int(os.environ.get("PEER_PREFETCH", "32"))
WSDLS: Final = Path(__file__).parents[2] / "schemas" / "wsdl"
#: Of one SOAP call.
TIMEOUT_S: Final = 10
