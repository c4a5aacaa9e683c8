"""`tariff demo`: bills real usage from start to PDF and checks every invoice."""

from app.cli.demo.run import run

__all__ = ["run"]
