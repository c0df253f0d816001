"""The configuration while it is being checked: the parts that could be read, and where they stand."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from gateway.settings.confidentiality import ConfidentialityPolicy
from gateway.settings.controls import Controls
from gateway.settings.destinations import Destination
from gateway.settings.document import Document, Fault, Loc
from gateway.settings.gateway import Gateway
from gateway.settings.model import Settings
from gateway.settings.parties import Party
from gateway.settings.reference import Reference
from gateway.settings.routes import Routes


@dataclass(frozen=True, slots=True)
class Draft:
    """What is left after each file was validated alone. None or empty: could not be read."""

    directory: Path
    documents: Mapping[str, Document]
    gateway: Gateway | None = None
    parties: tuple[Party, ...] = ()
    destinations: Mapping[str, Destination] = field(default_factory=dict)
    routes: Routes | None = None
    confidentiality: ConfidentialityPolicy | None = None
    controls: Controls | None = None
    reference: Reference | None = None

    def ids(self, file: str, collection: str, key: str | None = None) -> frozenset[str] | None:
        """The ids that a file names, faulty entries too; None when the file could not be read.

        From the text and not from the model, so that one fault in an entry does not also make
        everything that refers to it wrong. `key` is the entry's id, for a list of mappings.
        """
        entries = self.documents[file].get(collection) if file in self.documents else None
        if entries is None:
            return None
        if key is None:
            return frozenset(entries)
        return frozenset(entry[key] for entry in entries if isinstance(entry, Mapping) and key in entry)

    def fault(self, file: str, loc: Loc, text: str) -> Fault:
        """A fault in the value at `loc` of that file."""
        return self._document(file).at_value(loc, text)

    def key_fault(self, file: str, loc: Loc, text: str) -> Fault:
        """A fault in the key at `loc` of that file."""
        return self._document(file).at_key(loc, text)

    def _document(self, file: str) -> Document:
        return self.documents.get(file) or Document(str(self.directory / f"{file}.yaml"))


def of_settings(settings: Settings) -> Draft:
    """Settings as a draft again, for checks that come later."""
    return Draft(
        directory=settings.directory,
        documents=settings.documents,
        gateway=settings.gateway,
        parties=settings.parties,
        destinations=settings.destinations,
        routes=settings.routes,
        confidentiality=settings.confidentiality,
        controls=settings.controls,
        reference=settings.reference,
    )
