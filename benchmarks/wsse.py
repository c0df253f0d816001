"""What signing and verifying one IssueVisa costs in CPU: ours, and the xmlsec library's in the same run.

    python -m benchmarks.wsse [calls]

Prints JSON, microseconds a message, for ECDSA on P-256 and RSA-2048. "whole" is a request written, or read
with the hardened parser, with everything that is checked; "key" the key's own work. Each is the best of many
short rounds: on a busy machine a long one has no quiet moment.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable
from typing import Any

import xmlsec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from lxml import etree

from adapters.foreign_affairs.convert import issuance_request
from adapters.foreign_affairs.services import VISAS
from benchmarks.soap_call import PILGRIM, _context
from gateway.clock import SystemClock
from gateway.message import new_id
from gateway.soap import load_contract
from gateway.soap.envelope import SOAP_12, open_envelope
from gateway.soap.header import request_header
from gateway.soap.security.encryption import Decrypter, Encrypter
from gateway.soap.security.keys import Pinned, SigningKey
from gateway.soap.security.names import DS, WSU
from gateway.soap.security.policy import Signatures
from gateway.soap.security.signing import Signer
from gateway.xml import Limits, parse
from tests.soap import signed

_ROUND = 10
_SIGNED = ("Body", "Timestamp", "MessageHeader", "BinarySecurityToken")


def main(calls: int) -> None:
    """Measure and print."""
    header, content = _message()
    plain = SOAP_12.wrap(header, content)
    result: dict[str, Any] = {
        "calls": calls,
        "plain_bytes": len(plain),
        "plain_write_us": _best(lambda: SOAP_12.wrap(header, content), calls),
        "plain_read_us": _best(lambda: open_envelope(parse(plain, Limits())), calls),
    }
    for kind in signed.KINDS:
        result[kind] = _measured(signed.key("benchmark", kind), header, content, calls)
    result["encryption"] = _encryption(header, content, calls)
    for what in ("key_sign", "key_verify", "whole_sign", "whole_verify"):
        ratio = result["rsa"][f"{what}_us"] / result["ecdsa"][f"{what}_us"]
        result[f"rsa_over_ecdsa_{what}"] = round(ratio, 2)
    sys.stdout.write(json.dumps(result, indent=2) + "\n")


def _message() -> tuple[str, str]:
    contract, context, clock = load_contract(VISAS), _context(), SystemClock()
    header = request_header(VISAS, "IssueVisa", new_id(), context, clock.now())
    values = issuance_request(PILGRIM, context)
    return contract.header.write(header), contract.actions["IssueVisa"].request.write(values)


def _measured(pair: SigningKey, header: str, content: str, calls: int) -> dict[str, float]:
    clock = SystemClock()
    signatures = Signatures(Signer(pair), Pinned([pair.certificate]), clock)
    written = signatures.write(SOAP_12, header, content)
    data = b"x" * 1_000
    value, key = pair.sign(data), _xmlsec_key(pair)
    return {
        "bytes": len(written),
        "key_sign_us": _best(lambda: pair.sign(data), calls),
        "key_verify_us": _best(lambda: pair.certificate.verifies(value, data), calls),
        "whole_sign_us": _best(lambda: signatures.write(SOAP_12, header, content), calls),
        "whole_verify_us": _best(lambda: signatures.open(parse(written, Limits())), calls),
        "xmlsec_sign_us": _best(lambda: _xmlsec_sign(written, key), calls),
        "xmlsec_verify_us": _best(lambda: _xmlsec_verify(written, key), calls),
    }


def _encryption(header: str, content: str, calls: int) -> dict[str, float]:
    reader = signed.key("reader", "rsa")
    pair = signed.key("benchmark", "ecdsa")
    clock = SystemClock()
    signer = Signer(pair, encrypt=Encrypter(reader.certificate))
    both = Signatures(signer, Pinned([pair.certificate]), clock, decrypter=Decrypter(reader))
    written = both.write(SOAP_12, header, content)
    return {
        "bytes": len(written),
        "sign_and_encrypt_us": _best(lambda: both.write(SOAP_12, header, content), calls),
        "decrypt_and_verify_us": _best(lambda: both.open(parse(written, Limits())), calls),
    }


def _best(run: Callable[[], object], calls: int) -> float:
    def once() -> float:
        started = time.process_time()
        for _ in range(_ROUND):
            run()
        return (time.process_time() - started) / _ROUND * 1e6

    return round(min(once() for _ in range(max(calls // _ROUND, 1))), 1)


def _xmlsec_key(pair: SigningKey) -> Any:
    pem = pair.key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    return xmlsec.Key.from_memory(pem, xmlsec.KeyFormat.PEM)


def _xmlsec_sign(template: bytes, key: Any) -> bytes:
    """The same message from a template: parsed, digested, signed, written."""
    root = etree.fromstring(template)
    for value in root.iter(f"{{{DS}}}DigestValue", f"{{{DS}}}SignatureValue"):
        value.text = None
    _context_of(root, key).sign(signed.part(root, "Signature"))
    return etree.tostring(root)


def _xmlsec_verify(message: bytes, key: Any) -> None:
    """Without any check of what was signed."""
    root = parse(message, Limits())
    _context_of(root, key).verify(signed.part(root, "Signature"))


def _context_of(root: Any, key: Any) -> Any:
    context = xmlsec.SignatureContext()
    context.key = key
    for name in _SIGNED:
        context.register_id(signed.part(root, name), "Id", WSU)
    return context


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 1_000)
