"""How parties reach us and we reach partners: the shapes of TLS files, bound certificates and rates.

`tls` of a listener and `rates`, `connections` in `gateway.yaml`; `certificates` of a party in `parties.yaml`;
`tls` of a destination in `destinations.yaml`.
"""

from __future__ import annotations

from typing import Annotated, Literal, Self

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, model_validator


def _plain(fingerprint: str) -> str:
    """As we compare it: lower case, without the colons that openssl prints."""
    return fingerprint.replace(":", "").lower()


#: SHA-256 of a certificate in DER, as `openssl x509 -noout -fingerprint -sha256` prints it, or as bare hex.
Fingerprint = Annotated[str, Field(pattern=r"^[0-9A-Fa-f]{2}(:?[0-9A-Fa-f]{2}){31}$"), AfterValidator(_plain)]
_File = Annotated[str, Field(min_length=1, max_length=500)]
_Rate = Annotated[float, Field(gt=0, le=1_000_000, allow_inf_nan=False)]
_Burst = Annotated[int, Field(ge=1, le=100_000_000)]


class _Part(BaseModel):
    """As `model.Part`, which stands above this module."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, hide_input_in_errors=True)


# --- TLS ------------------------------------------------------------------------------------------


class ListenerTls(_Part):
    """PEM files of a listener. With `client_ca`, callers may present certificates of that authority."""

    certificate: _File
    key: _File
    client_ca: _File | None = None
    #: `required`: no connection without one. It proves a party on the public listener only, and only when it
    #: is bound to that party in parties.yaml; operators show their tokens besides.
    client_certificates: Literal["optional", "required"] = "optional"

    @model_validator(mode="after")
    def _verifiable(self) -> Self:
        if self.client_certificates == "required" and self.client_ca is None:
            raise ValueError("client_certificates: required needs client_ca")
        return self


class ClientTls(_Part):
    """PEM files for calls to a partner: our certificate and key, and the authority that we trust for it."""

    certificate: _File | None = None
    key: _File | None = None
    ca: _File | None = None
    #: The partner shows one of these certificates, or nothing is sent. Several while it is being renewed.
    pins: tuple[Fingerprint, ...] = ()

    @model_validator(mode="after")
    def _pair(self) -> Self:
        if (self.certificate is None) != (self.key is None):
            raise ValueError("certificate and key belong together")
        return self


class PartyCertificate(_Part):
    """A client certificate that proves one party: the certificate itself (PEM), or its fingerprint."""

    #: With the file its expiry is watched from the first day.
    file: _File | None = None
    sha256: Fingerprint | None = None

    @model_validator(mode="after")
    def _one_of_them(self) -> Self:
        if (self.file is None) == (self.sha256 is None):
            raise ValueError("give file or sha256")
        return self


# --- limits ---------------------------------------------------------------------------------------


class Connections(_Part):
    """What one caller may open on a listener, before it is known who calls."""

    #: At the same time; an IPv6 network of 64 bits counts as one address.
    max_per_address: Annotated[int, Field(gt=0, le=1_000_000)] = 256


class Rate(_Part):
    """Two token buckets of each party: `…_burst` at once, and `…_per_s` in the long run."""

    requests_per_s: _Rate = 500.0
    requests_burst: _Burst = 5_000
    #: Lines of batches are counted once they were read: a whole batch always passes, and what it took beyond
    #: the burst is waited for before the next one.
    lines_per_s: _Rate = 2_000.0
    lines_burst: _Burst = 500_000


class Rates(_Part):
    """The rate of each party, by its kind."""

    service_center: Rate = Rate()
    ministry: Rate = Rate()
    committee: Rate = Rate()
    system: Rate = Rate(requests_per_s=1_000.0, requests_burst=10_000)
