"""What the gateway says of what was sent to it: the fields of a result, of a batch and of a single message.

With their confidentiality classes, as the `results` of `config/confidentiality.yaml` name them. What a
partner answered and a later step passes on has classes of its own.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

from schemas.application import PUBLIC, RESTRICTED, SECRET, BatchHeader, leaves
from schemas.confidentiality import Confidentiality
from schemas.kinds.record import marks

#: Of one line's result. `application` is a rejected line as its own center submitted it, whole; `row` is its
#: place in the file.
_LINE: Final = {
    **dict.fromkeys(
        ("line", "row", "application_id", "state", "reason", "expected_at", "updated_at"), PUBLIC
    ),
    **dict.fromkeys(("errors.pointer", "errors.code", "errors.detail", "errors.detail_ar"), PUBLIC),
    **dict.fromkeys(("visa.number", "visa.valid_from", "visa.valid_until", "visa.stay_until"), RESTRICTED),
    "reference": RESTRICTED,
    "application": SECRET,
}
#: Of a batch's status, after `batch.`: what its header says, and how far it is.
_BATCH: Final = {
    **{path: next(marks(field, Confidentiality)) for path, field in leaves(BatchHeader)},
    **dict.fromkeys(
        (
            "batch_id", "state", "revision", "counts",
            "received_at", "accepted_at", "completed_at", "confirmed_at",
        ),
        PUBLIC,
    ),
}  # fmt: skip
#: Of a single message's state, after `message.`.
_MESSAGE: Final = dict.fromkeys(
    ("message_id", "kind", "state", "reason", "received_at", "updated_at"), PUBLIC
)

#: Every field that a list of `results` may name, and its class.
RESULT_CLASSES: Final[Mapping[str, Confidentiality]] = MappingProxyType(
    {
        **_LINE,
        **{f"batch.{name}": found for name, found in _BATCH.items()},
        **{f"message.{name}": found for name, found in _MESSAGE.items()},
    }
)

#: What every call says of the batch or message that it is made for (`batch.licensee_id`), and its class.
BATCH_CLASSES: Final[Mapping[str, Confidentiality]] = MappingProxyType(
    {f"batch.{path}": next(marks(field, Confidentiality)) for path, field in leaves(BatchHeader)}
)

#: By kind of message: what it carries of an earlier step's result (`earlier.STEP.FIELD`), and its class.
EARLIER_CLASSES: Final[Mapping[str, Mapping[str, Confidentiality]]] = MappingProxyType(
    {
        "visa.cancellation": {
            "earlier.foreign_affairs.visa_issuance.request_reference": PUBLIC,
            **{
                f"earlier.foreign_affairs.visa_issuance.{name}": RESTRICTED
                for name in ("visa_number", "valid_from", "valid_until", "stay_until")
            },
        }
    }
)
