"""The operators' listener: metrics and health for machines, and `/v1/admin/` for people.

Each subject has a file of its own (`admin_….py`) and stands in the list below; each route has a line in
`gateway.web.roles.ROLES`, without which nobody may use it. Whatever changes something or shows something of a
person needs a reason, which goes into the journal.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from aiohttp import web

from gateway.pipeline.engine import Engine
from gateway.web.admin_audit_export import AuditExport
from gateway.web.admin_backup import Backup
from gateway.web.admin_day import BusinessDay
from gateway.web.admin_keys import OperatorKeys
from gateway.web.admin_machines import Machines
from gateway.web.admin_messages import OperatorMessages
from gateway.web.admin_partners import OperatorPartners
from gateway.web.admin_persons import OperatorPersons
from gateway.web.admin_reconcile import Reconciling
from gateway.web.admin_webhooks import OperatorWebhooks
from gateway.web.operators import OperatorTokens
from gateway.web.reports import OperatorReports
from gateway.web.roles import Guard


class Admin:
    """The handlers of the admin listener."""

    def __init__(
        self,
        engine: Engine,
        tokens: OperatorTokens,
        intake_open: Callable[[], bool],
        details: Callable[[], Mapping[str, str]] = dict,
        exports: Callable[[], bool] = lambda: True,
    ) -> None:
        """`details` tells how other things are that `/readyz` shows, such as the broker.

        `exports` tells whether the ledger's gauges are ours to export.
        """
        self.guard = Guard(engine, tokens)
        self.machines = Machines(engine, intake_open, details, exports)
        self._subjects = (
            OperatorMessages(engine),
            OperatorPersons(engine),
            OperatorPartners(engine),
            OperatorWebhooks(engine),
            OperatorReports(engine),
            BusinessDay(engine),
            AuditExport(engine),
            OperatorKeys(engine),
            Reconciling(engine),
            Backup(engine),
        )

    def routes(self) -> list[web.RouteDef]:
        """Everything on the admin listener, each route open to its roles only."""
        everything = (*self.machines.routes(), *(r for subject in self._subjects for r in subject.routes()))
        return self.guard.guarded(everything)
