"""SOAP, both ways: the only zeep. A service is its WSDL and a `SoapService`; the rest follows."""

from gateway.soap.contract import Contract, SoapService, load_contract
from gateway.soap.header import HEADER_FIELDS
from gateway.soap.partner import Endpoint, SoapPartner

__all__ = ["HEADER_FIELDS", "Contract", "Endpoint", "SoapPartner", "SoapService", "load_contract"]
