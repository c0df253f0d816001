"""XML from outside, read with every dangerous thing refused."""

from gateway.xml.parser import Element, Limits, parse

__all__ = ["Element", "Limits", "parse"]
