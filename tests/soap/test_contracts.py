"""The contracts as they are loaded, and that compiled codecs say what zeep says."""

from __future__ import annotations

import socket
from decimal import Decimal
from typing import Any

import pytest
import zeep.xsd
from hypothesis import given, settings
from lxml import etree

from adapters.foreign_affairs.services import VISAS
from gateway.clock import SystemClock
from gateway.errors import Misconfigured, Refused
from gateway.http import HttpClient
from gateway.soap import Contract, Endpoint, SoapPartner, load_contract
from gateway.soap.codec import CompiledCodec, ZeepCodec, codec_for
from gateway.soap.contract import VENDORED, _VendoredFiles
from gateway.values import replace
from tests.soap.generated import CONTRACTS, ELEMENTS, SERVICES, codec, values_of
from tests.soap.partners import context


def zeep_codec(name: str, tag: str) -> ZeepCodec:
    service = SERVICES[name]
    transport: Any = _VendoredFiles()
    types: Any = zeep.wsdl.Document(str(VENDORED / "wsdl" / service.wsdl), transport).types
    return ZeepCodec(types.get_element(tag), types)


@pytest.mark.parametrize(("name", "action", "side"), ELEMENTS)
def test_every_type_of_ours_is_compiled(name: str, action: str, side: str) -> None:
    assert isinstance(getattr(CONTRACTS[name].actions[action], side), CompiledCodec)


@pytest.mark.parametrize(("name", "action", "side"), ELEMENTS)
def test_compiled_codecs_agree_with_zeep_and_with_the_schema(name: str, action: str, side: str) -> None:
    contract, compiled = CONTRACTS[name], codec(name, action, side)
    by_zeep = zeep_codec(name, compiled.tag)

    @settings(deadline=None)
    @given(values_of(by_zeep._element.type))
    def agree(values: dict[str, Any]) -> None:
        text = compiled.write(values)
        element = etree.fromstring(text)
        contract.check(element)
        assert compiled.read(element) == values
        assert compiled.write_certain(values) in (text, None)
        # zeep leaves an element without content out of what it reads.
        if not {"processing", "absent"} & values.get("result", {}).keys():
            assert canonical(by_zeep.write(values)) == canonical(text)
            assert without_none(by_zeep.read(element)) == values

    agree()


def canonical(text: str) -> str:
    """In one form, whatever prefixes were chosen and however UTC is called."""
    return etree.canonicalize(text.replace("+00:00<", "Z<"), rewrite_prefixes=True)


def without_none(value: Any) -> Any:
    if not isinstance(value, dict):
        return value
    return {name: without_none(part) for name, part in value.items() if part is not None}


WIDE = """<xs:schema xmlns:xs="http://www.w3.org/2001/XMLSchema" xmlns="urn:t" targetNamespace="urn:t"
    elementFormDefault="qualified">
  <xs:element name="Plain"><xs:complexType><xs:sequence>
    <xs:element name="flag" type="xs:boolean"/><xs:element name="count" type="xs:int"/>
    <xs:element name="ratio" type="xs:decimal"/><xs:element name="at" type="xs:dateTime" minOccurs="0"/>
    <xs:element name="line" type="xs:string" minOccurs="0" maxOccurs="3"/>
  </xs:sequence></xs:complexType></xs:element>
  <xs:element name="Attributed"><xs:complexType>
    <xs:sequence><xs:element name="a" type="xs:string"/></xs:sequence>
    <xs:attribute name="version" type="xs:string"/></xs:complexType></xs:element>
</xs:schema>"""


def wide(element: str) -> tuple[Any, Any]:
    schema: Any = zeep.xsd.Schema(etree.fromstring(WIDE))
    return schema.get_element(f"{{urn:t}}{element}"), schema


def test_other_simple_types_and_lists_are_carried() -> None:
    codec = codec_for(*wide("Plain"))
    assert isinstance(codec, CompiledCodec)
    values = {"flag": True, "count": 3, "ratio": Decimal("0.10"), "line": ["a", "b<"]}
    assert codec.read(etree.fromstring(codec.write(values))) == values


@pytest.mark.parametrize(
    "text", ["<flag>maybe</flag>", "<count>x</count>", "<ratio>1,5</ratio>", "<at>24:00</at>", "<other/>"]
)
def test_a_value_that_cannot_be_one_is_unreadable(text: str) -> None:
    with pytest.raises(Refused, match="value_unreadable"):
        codec_for(*wide("Plain")).read(etree.fromstring(f'<Plain xmlns="urn:t">{text}</Plain>'))


def test_a_number_of_5000_digits_is_unreadable_and_not_slow() -> None:
    with pytest.raises(Refused, match="value_unreadable"):
        codec_for(*wide("Plain")).read(
            etree.fromstring(f'<Plain xmlns="urn:t"><count>{"9" * 5000}</count></Plain>')
        )


def test_a_construct_that_is_not_compiled_goes_through_zeep() -> None:
    codec = codec_for(*wide("Attributed"))
    assert isinstance(codec, ZeepCodec)
    values = {"a": "x", "version": "2"}
    assert codec.read(etree.fromstring(codec.write(values))) == values
    with pytest.raises(Refused, match="conversion_failed"):
        codec.write({"unknown": 1})


@pytest.fixture
def partner() -> SoapPartner:
    clock = SystemClock()
    return SoapPartner(
        CONTRACTS["passports"], Endpoint("http://127.0.0.1:1", 1, 1), HttpClient(clock, idle_s=1), clock
    )


VERIFICATION = {
    "request_reference": "r",
    "passport_number": "A1234567",
    "passport_type": "P",
    "issuing_state": "IDN",
    "issue_date": "2020-01-01",
    "expiry_date": "2030-01-01",
    "birth_date": "1990-01-01",
    "nationality": "IDN",
}


def test_a_prepared_request_is_valid_and_carries_its_id(partner: SoapPartner) -> None:
    first, second = (partner.prepare("VerifyPassport", VERIFICATION, context()) for _ in range(2))
    assert first.correlation_id != second.correlation_id
    assert f"<message_id>{first.correlation_id}</message_id>".encode() in first.body


@pytest.mark.parametrize(
    "change",
    [
        {"passport_number": "secret value"},
        {"passport_number": None},
        {"passport_number": 12345},
        {"passport_number": "secret\x00"},
        {"passport_number": "secret\ud800"},
        {"passport_number": "</passport_number><x/>"},
        {"birth_date": "1990-02-30"},
        {"birth_date": "٢٠٢٦-٠١-٠١"},
        {"secret": "x"},
        {"issuing_state": {"x": "secret"}},
    ],
)
def test_values_that_do_not_fit_are_found_before_anything_is_sent(
    partner: SoapPartner, change: dict[str, Any]
) -> None:
    with pytest.raises(Refused) as caught:
        partner.prepare("VerifyPassport", {**VERIFICATION, **change}, context())
    assert caught.value.code == "conversion_failed"
    assert "secret" not in str(caught.value)


def test_loading_a_contract_opens_no_socket(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise AssertionError("a socket was opened")

    monkeypatch.setattr(socket.socket, "connect", refuse)
    assert isinstance(load_contract(VISAS), Contract)


@pytest.mark.parametrize(
    "wrong",
    [
        replace(VISAS, wsdl="foreign_affairs/none.wsdl"),
        replace(VISAS, wsdl="../../pyproject.toml"),
        replace(VISAS, service="None"),
        replace(VISAS, port="None"),
    ],
)
def test_a_contract_that_is_not_there_stops_the_start(wrong: Any) -> None:
    with pytest.raises(Misconfigured):
        load_contract(wrong)


def test_nothing_outside_the_vendored_documents_is_loaded() -> None:
    for url in ("http://127.0.0.1/x.xsd", "/etc/passwd", str(VENDORED / ".." / "pyproject.toml")):
        with pytest.raises(OSError, match="not a vendored document"):
            _VendoredFiles().load(url)
