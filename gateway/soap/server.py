"""Serving a WSDL: bytes to a checked call, and values to an answer. Knows nothing of any web framework."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any, Final

from gateway.errors import Refused
from gateway.ports import Clock
from gateway.soap.contract import Action, Contract
from gateway.soap.envelope import (
    DIALECTS,
    HEADER_TAG,
    Dialect,
    Envelope,
    dialect_of,
    media_type,
    write_fault,
)
from gateway.soap.header import reply_header
from gateway.soap.security.policy import UNPROTECTED, MessageSecurity
from gateway.xml import Element, Limits, parse

#: What a request may cost.
LIMITS: Final = Limits(max_bytes=262_144, max_elements=2_000)


@dataclass(frozen=True, slots=True)
class Call:
    """A request that is valid by the contract."""

    action: Action
    dialect: Dialect
    #: Values of its `MessageHeader`; empty when it has none.
    header: Mapping[str, Any]
    values: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class SoapAnswer:
    """What goes back over HTTP."""

    status: int
    content_type: str
    body: bytes


class SoapFault(Exception):
    """The request can't be taken (`ours` False), or can't be answered now (`ours` True)."""

    def __init__(
        self, text: str, *, code: str | None = None, ours: bool = False, soap_code: str | None = None
    ) -> None:
        super().__init__(text)
        self.text = text
        #: The service's own code, beside SOAP's few.
        self.code = code
        self.ours = ours
        #: `VersionMismatch` or `MustUnderstand`, where one of these is the reason.
        self.soap_code = soap_code


class SoapServer:
    """One service. Pure but for ids and the clock."""

    def __init__(
        self,
        contract: Contract,
        clock: Clock,
        limits: Limits = LIMITS,
        *,
        understood: Collection[str] = (),
        header_required: bool = True,
        security: MessageSecurity = UNPROTECTED,
    ) -> None:
        """`understood`: tags of further header blocks that somebody looks at between `open` and `read`.

        `security`: what was agreed with the only caller, where there is only one.
        """
        self._security = security
        self._contract = contract
        self._clock = clock
        self._limits = limits
        self._understood = security.understood.union(understood)
        self._header_required = header_required

    def receive(self, content_type: str, body: bytes) -> Call:
        """The call in a request. `SOAPAction` is a hint and not looked at.

        Raises `SoapFault`, to be answered with `fault`.
        """
        try:
            return self.read(self.open(content_type, body))
        except Refused as error:
            raise SoapFault("the message was not accepted", code=error.code.upper()) from error

    def answer(
        self, call: Call, values: Mapping[str, Any], security: MessageSecurity | None = None
    ) -> SoapAnswer:
        """The reply to a call, with a header when the call had one; `security` as agreed with its caller.

        Raises `Refused` when the values don't fit the contract's types.
        """
        content = call.action.reply.write(values)
        body = (security or self._security).write(call.dialect, self._reply_header(call), content)
        return SoapAnswer(200, _content_type(call.dialect), body)

    def _reply_header(self, call: Call) -> str:
        if not call.header:
            return ""
        contract = self._contract
        return contract.header.write(reply_header(call.header, contract.service.party, self._clock.now()))

    def fault(
        self,
        fault: SoapFault,
        content_type: str,
        call: Call | None = None,
        security: MessageSecurity | None = None,
    ) -> SoapAnswer:
        """The answer to a request of that content type that could not be taken.

        With a header when it was understood, as a `call` with one; `security` as agreed with its caller.
        """
        dialect = _announced(content_type) or self._contract.dialect
        code = fault.soap_code or (dialect.receiver if fault.ours else dialect.sender)
        header = "" if call is None else self._reply_header(call)
        content = write_fault(dialect, code, fault.text, fault.code)
        body = (security or self._security).write(dialect, header, content)
        # SOAP 1.2 part 2, table 20: a sender's fault is 400. SOAP 1.1 knows only 500.
        status = 400 if code == dialect.sender and dialect.version == "1.2" else 500
        return SoapAnswer(status, _content_type(dialect), body)

    def open(self, content_type: str, body: bytes) -> Envelope:
        """The envelope, in the version that the content type announces. Raises `Refused`, `SoapFault`."""
        announced = _announced(content_type)
        if announced is None:
            raise Refused("unsupported_media_type")
        root = parse(body, self._limits)
        dialect = dialect_of(root)
        if dialect is not None and (dialect is not announced or dialect not in self._contract.dialects):
            raise SoapFault("SOAP version", code="SOAP_VERSION", soap_code="VersionMismatch")
        envelope = self._security.open(root)
        if envelope.not_understood(self._understood):
            raise SoapFault(
                "a header block is not understood", code="HEADER_NOT_UNDERSTOOD", soap_code="MustUnderstand"
            )
        return envelope

    def read(self, envelope: Envelope) -> Call:
        """The call in an envelope, valid by the contract. Raises `Refused`."""
        header = self._header(envelope)
        action = self._contract.by_request_tag.get(str(envelope.content.tag))
        if action is None:
            raise Refused("operation_unknown")
        if header is not None:
            self._contract.check(header)
        self._contract.check(envelope.content)
        return Call(
            action=action,
            dialect=envelope.dialect,
            header=self._contract.header.read(header) if header is not None else {},
            values=action.request.read(envelope.content),
        )

    def _header(self, envelope: Envelope) -> Element | None:
        if sum(block.tag == HEADER_TAG for block in envelope.headers) > 1:
            raise Refused("header_repeated")
        if envelope.message_header is None and self._header_required:
            raise Refused("header_missing")
        return envelope.message_header


def _announced(content_type: str) -> Dialect | None:
    announced = media_type(content_type)
    return next((dialect for dialect in DIALECTS if dialect.media_type == announced), None)


def _content_type(dialect: Dialect) -> str:
    return f"{dialect.media_type}; charset=utf-8"
