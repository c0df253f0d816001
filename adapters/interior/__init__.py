"""Interior: the National Information Center (security clearance) and Passports (travel documents).

They speak SOAP 1.1. Both only answer questions, so a call may be repeated. A clearance may be PENDING: the
answer comes later, under the Center's own opaque reference.
"""

from adapters.interior.operations import OPERATIONS
from adapters.interior.services import SERVICES

__all__ = ["OPERATIONS", "SERVICES"]
