"""Service centers: the formats in which they submit visa batches and fetch results.

All four say the same: `name` nested in `passport` is a member in JSON and NDJSON, an element in XML, the
column `passport.name` in CSV. A value is text in all of them; JSON may write the season as a number.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Final

from adapters.service_centers.csv_format import CsvReader, CsvResultWriter
from adapters.service_centers.json_format import JsonReader, JsonResultWriter
from adapters.service_centers.ndjson_format import NdjsonReader, NdjsonResultWriter
from adapters.service_centers.xml_format import XmlReader, XmlResultWriter
from gateway.ports import BatchReader, ResultWriter

#: Names of the formats, as on the command line.
MEDIA_TYPES: Final[Mapping[str, str]] = MappingProxyType(
    {
        "json": "application/json",
        "ndjson": "application/x-ndjson",
        "csv": "text/csv",
        "xml": "application/xml",
    }
)
FORMATS: Final[Mapping[str, str]] = MappingProxyType({media: name for name, media in MEDIA_TYPES.items()})

_readers: tuple[BatchReader, ...] = (JsonReader(), NdjsonReader(), CsvReader(), XmlReader())
#: By media type.
READERS: Final[Mapping[str, BatchReader]] = MappingProxyType(
    {media: reader for reader in _readers for media in reader.media_types}
)
#: By media type: call it for a writer of one document.
WRITERS: Final[Mapping[str, Callable[[], ResultWriter]]] = MappingProxyType(
    {
        JsonResultWriter.media_type: JsonResultWriter,
        NdjsonResultWriter.media_type: NdjsonResultWriter,
        CsvResultWriter.media_type: CsvResultWriter,
        XmlResultWriter.media_type: XmlResultWriter,
    }
)
