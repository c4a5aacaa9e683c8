"""What can be wrong with a customer.

DomainError
├── Invalid            INVALID_EXTERNAL_ID, INVALID_NAME, INVALID_EMAIL, INVALID_TIMEZONE,
│                      INVALID_CURRENCY, INVALID_COUNTRY, INVALID_TAX_ID,
│                      INVALID_REGISTRATION_NUMBER, INVALID_SCHEME, INVALID_ID, INVALID_LOCALE,
│                      INVALID_INVOICE_PREFIX, INVALID_METADATA, INVALID_PARENT_ID,
│                      PARENT_REQUIRED
├── NotFound           NOT_FOUND
└── Conflict
    ├── AlreadyExists  ALREADY_EXISTS (external_id)
    ├── CustomerIsArchived, CustomerIsActive   CUSTOMER_ARCHIVED, CUSTOMER_NOT_ARCHIVED
    ├── CustomerHasWork                        CUSTOMER_IN_USE
    ├── CustomerHasChildren                    CUSTOMER_HAS_CHILDREN
    ├── HierarchyTooDeep                       HIERARCHY_TOO_DEEP
    ├── ParentOnOtherClock                     PARENT_ON_OTHER_CLOCK
    └── ParentPays                             PARENT_PAYS
"""

from app.kernel.errors import Conflict, Invalid


class CustomerIsArchived(Conflict):
    code = "CUSTOMER_ARCHIVED"

    def __init__(self, customer_id: str, field: str = "id") -> None:
        super().__init__(f"customer {customer_id} is archived; restore it first", field=field)


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


class CustomerHasChildren(Conflict):
    """It is the parent of customers that are in use."""

    code = "CUSTOMER_HAS_CHILDREN"

    def __init__(self, customer_id: str, field: str = "id") -> None:
        super().__init__(
            f"customer {customer_id} is the parent of others; give them another parent, or none, "
            "first",
            field=field,
        )


class HierarchyTooDeep(Conflict):
    """A family is a parent and its children: a parent has no parent itself."""

    code = "HIERARCHY_TOO_DEEP"

    def __init__(self, customer_id: str, why: str) -> None:
        super().__init__(
            f"parentId: customer {customer_id} {why}; a family has one level", field="parentId"
        )


class ParentOnOtherClock(Conflict):
    """A child lives in the present of its parent."""

    code = "PARENT_ON_OTHER_CLOCK"

    def __init__(self, parent_id: str, field: str) -> None:
        super().__init__(
            f"{field}: parent {parent_id} lives in another present; a child lives on the test "
            "clock of its parent",
            field=field,
        )


class ParentPays(Conflict):
    """A subscription that is running says that the parent pays, so there has to be one."""

    code = "PARENT_PAYS"

    def __init__(self, customer_id: str, subscription_id: str) -> None:
        super().__init__(
            f"parentId: the parent of customer {customer_id} pays for subscription "
            f"{subscription_id}; let the customer pay for it first",
            field="parentId",
        )


def parent_required(field: str = "parentPays") -> Invalid:
    return Invalid(f"{field}: there is no parent to pay", field=field, code="PARENT_REQUIRED")
