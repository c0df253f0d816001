"""Telling service centers at once: signed notices to their addresses, without anything of a person.

A notice only names what there is; the center fetches it with GET /v1/notifications. The outbox of the ledger
is the queue, a position in it is all the state there is, and a notice that was lost is sent again.
"""

from gateway.webhooks.address import Resolve, system_addresses
from gateway.webhooks.secrets import ensure_webhook_secrets, load_webhook_secrets
from gateway.webhooks.webhooks import Webhooks

__all__ = ["Resolve", "Webhooks", "ensure_webhook_secrets", "load_webhook_secrets", "system_addresses"]
