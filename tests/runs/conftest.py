"""Runs are tried on the company that invoicing's tests build."""

from tests.invoicing.conftest import storage, world

__all__ = ["storage", "world"]
