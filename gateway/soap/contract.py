"""A WSDL of ours, loaded: its operations, its schema, and how their values are written and read."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import zeep.wsdl
from lxml import etree
from zeep.wsdl.bindings.soap import Soap11Binding

import schemas
from gateway.errors import Misconfigured, Refused
from gateway.soap.codec import Codec, codec_for
from gateway.soap.envelope import HEADER_TAG, SOAP_11, SOAP_12, Dialect
from gateway.soap.simple_types import simple_types
from gateway.xml import Element

#: Where the WSDLs and schemas are. Nothing is ever loaded from anywhere else.
VENDORED: Final = Path(schemas.__file__).parent


@dataclass(frozen=True, slots=True)
class SoapService:
    """A partner's service, or one of ours: where its contract stands and what of it the WSDL can't say."""

    #: Below `schemas/wsdl/`, such as `interior/nic.wsdl`.
    wsdl: str
    #: Names of `wsdl:service` and `wsdl:port`. The port decides the SOAP version of our calls.
    service: str
    port: str
    #: Who runs it: the receiver in our header.
    party: str
    #: By action: the `kind` in the message header.
    kinds: Mapping[str, str]
    #: The highest confidentiality class of a field in its messages.
    classification: str = "restricted"
    #: Codes of faults, and of technical service errors, that say for certain that nothing was done. Agree on
    #: each with the partner; every other fault is uncertain.
    definite_faults: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class Action:
    """One operation of a WSDL."""

    name: str
    soap_action: str
    request: Codec
    reply: Codec


@dataclass(frozen=True, slots=True)
class Contract:
    """A service with everything needed to call it or to serve it."""

    service: SoapService
    #: Of the service's port.
    dialect: Dialect
    #: Of all its ports.
    dialects: frozenset[Dialect]
    actions: Mapping[str, Action]
    header: Codec
    schema: etree.XMLSchema
    by_request_tag: Mapping[str, Action] = field(repr=False)

    def write_request(self, action: str, values: Mapping[str, Any]) -> str:
        """The request's element as XML text that is valid by the schema.

        Where that is not certain by the way it is written, the schema is asked. Raises `Refused`, and
        `UnicodeEncodeError` and `etree.XMLSyntaxError` for text that is none.
        """
        codec = self.actions[action].request
        content = codec.write_certain(values)
        if content is None:
            content = codec.write(values)
            self.check(etree.fromstring(content.encode()))
        return content

    def check(self, element: Element) -> None:
        """Raise `Refused` (`schema_invalid`) unless the element is valid. The detail holds no value."""
        if self.schema.validate(element):
            return
        entry = self.schema.error_log[0]
        raise Refused("schema_invalid", f"{entry.type_name} at {entry.path}")


def load_contract(service: SoapService) -> Contract:
    """Read the WSDL and all it imports. Blocks; for start-up.

    Raises `Misconfigured` when it can't be read or does not have what `service` names.
    """
    path = VENDORED / "wsdl" / service.wsdl
    try:
        transport: Any = _VendoredFiles()
        document: Any = zeep.wsdl.Document(str(path), transport)
        ports = document.services[service.service].ports
        binding = ports[service.port].binding
        schema, certain = _schema(path), simple_types(path)
        header = codec_for(document.types.get_element(HEADER_TAG), document.types, certain)
    except (OSError, LookupError, etree.LxmlError, zeep.exceptions.Error) as error:
        raise Misconfigured([f"{service.wsdl}: {type(error).__name__}: {error}"]) from error
    actions = _actions(binding, document.types, certain)
    return Contract(
        service=service,
        dialect=_dialect(binding),
        dialects=frozenset(_dialect(port.binding) for port in ports.values()),
        actions=actions,
        header=header,
        schema=schema,
        by_request_tag={action.request.tag: action for action in actions.values()},
    )


def _actions(binding: Any, types: Any, certain: Mapping[str, str]) -> dict[str, Action]:
    return {
        name: Action(
            name=name,
            soap_action=operation.soapaction,
            request=codec_for(operation.input.body, types, certain),
            reply=codec_for(operation.output.body, types, certain),
        )
        for name, operation in binding.all().items()
    }


def _dialect(binding: object) -> Dialect:
    return SOAP_11 if isinstance(binding, Soap11Binding) else SOAP_12


def _schema(wsdl: Path) -> etree.XMLSchema:
    """The WSDL's schema for validation. It has one, which imports the others."""
    found = etree.parse(wsdl, etree.XMLParser(no_network=True)).findall("{*}types/{*}schema")
    if len(found) != 1:
        raise LookupError("wsdl:types must hold one schema that imports the others")
    return etree.XMLSchema(found[0])


class _VendoredFiles:
    """What zeep loads documents with: our own files, and nothing else."""

    def load(self, url: str) -> bytes:
        path = Path(url).resolve()
        if not path.is_relative_to(VENDORED.resolve()):
            raise OSError("not a vendored document")
        return path.read_bytes()
