"""The whole configuration: one frozen model a file, and `Settings` that holds them all."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from pydantic import BaseModel, ConfigDict, Field

from gateway.settings.confidentiality import ConfidentialityPolicy
from gateway.settings.controls import Controls
from gateway.settings.destinations import Destination
from gateway.settings.document import Document
from gateway.settings.gateway import Gateway
from gateway.settings.parties import Party
from gateway.settings.reference import Reference
from gateway.settings.routes import Routes


class Settings(BaseModel):
    """The whole configuration, checked. Made by `load`; a changed copy by `model_copy`."""

    model_config = ConfigDict(frozen=True, arbitrary_types_allowed=True)

    gateway: Gateway
    parties: tuple[Party, ...]
    destinations: Mapping[str, Destination]
    routes: Routes
    confidentiality: ConfidentialityPolicy
    controls: Controls
    reference: Reference
    #: Of `gateway.yaml`; files that the configuration names are relative to it.
    directory: Path = Path()
    #: Where each value stands, for messages; by the file's name without its ending.
    documents: Mapping[str, Document] = Field(default_factory=dict, exclude=True, repr=False)

    def file(self, name: str) -> Path:
        """The path of a file that the configuration names."""
        return self.directory / name

    def party(self, party_id: str) -> Party | None:
        """The party of that id, if there is one."""
        return next((party for party in self.parties if party.id == party_id), None)

    def __str__(self) -> str:
        """Short, and without the URLs: they may hold a password from the environment."""
        return f"Settings({self.directory})"

    __repr__ = __str__
