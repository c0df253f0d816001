"""Canonical models, code tables, error texts, WSDLs and XSDs: what a message may look like."""
