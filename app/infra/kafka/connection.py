"""What every client of the brokers is opened with."""

import ssl
from typing import Any

from app.config import Kafka


def client_options(settings: Kafka) -> dict[str, Any]:
    """Addresses, encryption and credentials, as keyword arguments of aiokafka's clients.

    Certificates of a private authority are found the way OpenSSL finds them (SSL_CERT_FILE).
    """
    options: dict[str, Any] = {
        "bootstrap_servers": settings.brokers,
        "security_protocol": settings.security,
    }
    if settings.security.endswith("SSL"):
        options["ssl_context"] = ssl.create_default_context()
    if settings.security.startswith("SASL"):
        options["sasl_mechanism"] = settings.sasl_mechanism
        options["sasl_plain_username"] = settings.sasl_user
        options["sasl_plain_password"] = settings.sasl_password
    return options


def full_name(settings: Kafka, topic: str) -> str:
    """The topic's name on the brokers."""
    return f"{settings.topic_prefix}{topic}"
