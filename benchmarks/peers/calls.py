"""zeep clients of the partners, made once a process: for threads and processes, or for one event loop."""

from __future__ import annotations

import logging
from typing import Any, Final

import httpx
import requests
import zeep
from requests.adapters import HTTPAdapter
from zeep.proxy import AsyncServiceProxy
from zeep.transports import AsyncTransport

from benchmarks.peers.settings import PARTNERS_URL, TIMEOUT_S, WSDLS
from benchmarks.peers.wording import SERVICES, Service, Values, header, request, result

#: zeep logs bodies at DEBUG, httpx each request at INFO.
for _name in ("zeep", "httpx"):
    logging.getLogger(_name).setLevel(logging.WARNING)

_THREADS: Final = 64


class Partners:
    """Blocking calls. One for all threads of a process: connections are pooled and kept."""

    def __init__(self) -> None:
        session = requests.Session()
        session.trust_env = False
        session.mount("http://", HTTPAdapter(pool_connections=4, pool_maxsize=_THREADS))
        transport = zeep.Transport(session=session, timeout=TIMEOUT_S, operation_timeout=TIMEOUT_S)
        self._services = {
            service.operation: zeep.Client(str(WSDLS / service.wsdl), transport=transport).create_service(
                service.binding, PARTNERS_URL + service.path
            )
            for service in SERVICES
        }

    def call(self, service: Service, application_id: str, line: Values, batch: Values) -> str:
        """What is kept of the answer. Raises what requests and zeep raise, and `Unusable`."""
        sent = header(service, application_id, batch)
        values = request(service, application_id, line, batch)
        operation = getattr(self._services[service.operation], service.operation)
        return result(service, sent, operation(**values, _soapheaders={"header": sent}))


class AsyncPartners:
    """The same in an event loop, over zeep's own httpx transport. The constructor blocks: for start-up."""

    def __init__(self, connections: int) -> None:
        limits = httpx.Limits(max_connections=connections, max_keepalive_connections=connections)
        self._client = httpx.AsyncClient(trust_env=False, timeout=TIMEOUT_S, limits=limits)
        transport = AsyncTransport(client=self._client, wsdl_client=httpx.Client(trust_env=False))
        self._services = {service.operation: _proxy(service, transport) for service in SERVICES}

    async def call(self, service: Service, application_id: str, line: Values, batch: Values) -> str:
        """As `Partners.call`."""
        sent = header(service, application_id, batch)
        values = request(service, application_id, line, batch)
        operation = getattr(self._services[service.operation], service.operation)
        return result(service, sent, await operation(**values, _soapheaders={"header": sent}))

    async def close(self) -> None:
        await self._client.aclose()


def _proxy(service: Service, transport: AsyncTransport) -> Any:
    client = zeep.AsyncClient(str(WSDLS / service.wsdl), transport=transport)
    # `create_service` of this client gives a proxy that doesn't wait.
    binding = client.wsdl.bindings[service.binding]
    return AsyncServiceProxy(client, binding, address=PARTNERS_URL + service.path)
