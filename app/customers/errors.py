"""What can be wrong with a customer.

DomainError
├── Invalid            INVALID_EXTERNAL_ID, INVALID_NAME, INVALID_EMAIL, INVALID_TIMEZONE,
│                      INVALID_CURRENCY, INVALID_COUNTRY, INVALID_TAX_ID,
│                      INVALID_REGISTRATION_NUMBER, INVALID_SCHEME, INVALID_ID, INVALID_LOCALE,
│                      INVALID_INVOICE_PREFIX, INVALID_METADATA
├── NotFound           NOT_FOUND
└── Conflict
    ├── AlreadyExists  ALREADY_EXISTS (external_id)
    ├── CustomerIsArchived, CustomerIsActive   CUSTOMER_ARCHIVED, CUSTOMER_NOT_ARCHIVED
    └── CustomerHasWork                        CUSTOMER_IN_USE
"""

from app.kernel.errors import Conflict


class CustomerIsArchived(Conflict):
    code = "CUSTOMER_ARCHIVED"

    def __init__(self, customer_id: str) -> None:
        super().__init__(f"customer {customer_id} is archived; restore it first", field="id")


class CustomerIsActive(Conflict):
    code = "CUSTOMER_NOT_ARCHIVED"

    def __init__(self, customer_id: str) -> None:
        super().__init__(f"customer {customer_id} is not archived", field="id")


class CustomerHasWork(Conflict):
    """Something of the customer's is scheduled, or was billed, by the present it has now."""

    code = "CUSTOMER_IN_USE"

    def __init__(self, customer_id: str, what: str = "work scheduled") -> None:
        super().__init__(
            f"customer {customer_id} has {what} by the present it lives in; a customer changes its "
            "test clock before it has anything",
            field="id",
        )
