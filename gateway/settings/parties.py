"""`parties.yaml`: who sends and receives."""

from __future__ import annotations

from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from gateway.settings.soap_security import PartySecurity
from gateway.settings.transport import PartyCertificate
from gateway.settings.types import ClassName, FileName, Name, Part, Text, Url


class PartyKey(Part):
    """A public key that a party signs its tokens with (PEM)."""

    file: FileName
    algorithm: Literal["EdDSA", "ES256"]


class Webhook(Part):
    """Where a service center wants to be told at once that there is something to fetch."""

    #: https. http only together with `allow_private`, for demonstrations.
    url: Url
    #: One secret a line (`whsec_…`), two while it is being changed; mode 0600. With `demo_key` it is made
    #: in the data directory unless given.
    secret_file: FileName | None = None
    #: Calls into private networks are refused unless this is set.
    allow_private: bool = False

    @model_validator(mode="after")
    def _encrypted(self) -> Self:
        if not self.allow_private and not self.url.startswith("https://"):
            raise ValueError("url is not https")
        return self


class Party(Part):
    """Anything that sends or receives."""

    id: Name
    kind: Literal["service_center", "ministry", "committee", "system"]
    name_en: Text
    name_ar: Text
    #: More than one while a key is being changed.
    keys: tuple[PartyKey, ...] = ()
    #: Client certificates that prove this party, and no other. Several while one is being renewed.
    certificates: tuple[PartyCertificate, ...] = ()
    #: The highest class that it may be told, in events and results. Unless given, restricted for a service
    #: center and secret for everybody else. What is sent to a system is judged by its destination's.
    clearance: ClassName | None = None
    #: A key pair is made in the data directory at the first start. For demonstrations only.
    demo_key: bool = False
    #: Public key (X25519, PEM) that events on the bus are encrypted to. With `demo_key` one is made.
    encryption_key: FileName | None = None
    #: None: it asks for its notifications itself.
    webhook: Webhook | None = None
    #: How it proves itself when it calls our SOAP services.
    soap_security: PartySecurity = PartySecurity()

    @property
    def cleared(self) -> ClassName:
        """The highest class that it may be told."""
        return self.clearance or ("restricted" if self.kind == "service_center" else "secret")

    @model_validator(mode="after")
    def _center_with_secret(self) -> Self:
        if self.webhook is None:
            return self
        if self.kind != "service_center":
            raise ValueError("only a service center can have a webhook")
        if self.webhook.secret_file is None and not self.demo_key:
            raise ValueError("webhook: secret_file is missing")
        return self

    @model_validator(mode="after")
    def _keys_or_demo(self) -> Self:
        if self.keys and self.demo_key:
            raise ValueError("give keys or demo_key, not both")
        proof = self.keys or self.certificates or self.demo_key
        if not proof and self.kind != "system":
            raise ValueError("has no way to prove itself: give keys, certificates, or demo_key: true")
        return self


class Parties(Part):
    """`parties.yaml`."""

    parties: Annotated[tuple[Party, ...], Field(min_length=1)]
