"""Foreign Affairs: visas issued, asked about and cancelled, agents' contracts attested, over SOAP 1.2.

An issuance is not repeated blindly: a call whose answer was lost is asked about by `request_reference`, which
is the same in every repetition. Dates travel as a pair, Gregorian and Umm al-Qura; the first is
authoritative. A contract is received at once and attested later: its mission's decision comes to us as a
`NotifyAttestation`.
"""

from adapters.foreign_affairs.inbound import INBOUND, SERVED
from adapters.foreign_affairs.operations import OPERATIONS
from adapters.foreign_affairs.services import SERVICES

__all__ = ["INBOUND", "OPERATIONS", "SERVED", "SERVICES"]
