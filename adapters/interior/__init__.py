"""Interior: the National Information Center (security clearance) and Passports (travel documents).

They speak SOAP 1.1. Both mostly answer questions, and know a report of ours by its reference, so every call
may be repeated. A clearance may be PENDING: the answer comes later, under the Center's own opaque reference.
Both are also asked whether anything they hold prevents a licensee's activation: a BLOCK is an answer, not a
refusal.
"""

from adapters.interior.inbound import INBOUND, SERVED
from adapters.interior.operations import OPERATIONS
from adapters.interior.services import SERVICES

__all__ = ["INBOUND", "OPERATIONS", "SERVED", "SERVICES"]
