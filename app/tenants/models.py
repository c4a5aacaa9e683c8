from tortoise import fields
from tortoise.migrations.constraints import UniqueConstraint
from tortoise.models import Model

from app.infra.tables import ScopedTable, TenantTable, id_field


class TenantRecordTable(Model):
    """The tenants themselves: a tenant sees its own row alone."""

    id = id_field(primary_key=True)
    name = fields.CharField(max_length=255)
    metadata = fields.JSONField[dict[str, str]]()
    suspended_at = fields.DatetimeField(null=True)
    created_at = fields.DatetimeField()
    updated_at = fields.DatetimeField()

    class Meta:
        table = "tenants"
        indexes = (("name",), ("created_at", "id"))


class EnvironmentTable(TenantTable):
    name = fields.CharField(max_length=255)
    type = fields.CharField(max_length=20)
    # What differs from the defaults of `app.tenants.settings`.
    settings = fields.JSONField[dict[str, object]]()
    archived_at = fields.DatetimeField(null=True)

    class Meta:
        table = "environments"
        constraints = (
            UniqueConstraint(
                fields=("tenant_id", "name"),
                name="environments_name",
                condition="archived_at IS NULL",
            ),
        )
        indexes = (("tenant_id", "created_at", "id"),)


class UserTable(TenantTable):
    # Case-folded. Who signs in says no tenant, so an address is one user's alone.
    email = fields.CharField(max_length=320)
    name = fields.CharField(max_length=255)
    password_hash = fields.CharField(max_length=255, null=True)  # argon2id; null: invited
    invitation_hash = fields.CharField(max_length=64, null=True)
    invitation_expires_at = fields.DatetimeField(null=True)
    archived_at = fields.DatetimeField(null=True)

    class Meta:
        table = "users"
        constraints = (
            UniqueConstraint(
                fields=("email",), name="users_email", condition="archived_at IS NULL"
            ),
            UniqueConstraint(fields=("invitation_hash",), name="users_invitation_hash"),
        )
        indexes = (("tenant_id", "created_at", "id"),)


class ServiceAccountTable(TenantTable):
    name = fields.CharField(max_length=255)
    archived_at = fields.DatetimeField(null=True)

    class Meta:
        table = "service_accounts"
        constraints = (
            UniqueConstraint(
                fields=("tenant_id", "name"),
                name="service_accounts_name",
                condition="archived_at IS NULL",
            ),
        )
        indexes = (("tenant_id", "created_at", "id"),)


class RoleTable(TenantTable):
    """Roles that a tenant made; the built-in ones are code (`app.tenants.role`)."""

    name = fields.CharField(max_length=64)
    permissions = fields.JSONField[list[str]]()
    archived_at = fields.DatetimeField(null=True)

    class Meta:
        table = "roles"
        constraints = (
            UniqueConstraint(
                fields=("tenant_id", "name"),
                name="roles_name",
                condition="archived_at IS NULL",
            ),
        )
        indexes = (("tenant_id", "created_at", "id"),)


class RoleAssignmentTable(Model):
    """A user or service account holds a role: a built-in one by name, another by id."""

    id = fields.BigIntField(primary_key=True, generated=True)
    tenant_id = id_field()
    principal_id = id_field()
    role = fields.CharField(max_length=64)

    class Meta:
        table = "role_assignments"
        unique_together = (("tenant_id", "principal_id", "role"),)
        indexes = (("tenant_id", "role"),)


class ApiKeyTable(ScopedTable):
    name = fields.CharField(max_length=255)
    # Keys are found by it, across tenants. Seventy random bits: a rule that it be unique would
    # only ever tell one tenant of another.
    prefix = fields.CharField(max_length=32, db_index=True)
    # SHA-256 of the whole key. Not argon2: 256 random bits cannot be guessed, and every
    # request pays for the comparison.
    secret_hash = fields.CharField(max_length=64)
    permissions = fields.JSONField[list[str]]()
    service_account_id = id_field(null=True)
    created_by = fields.CharField(max_length=64)
    expires_at = fields.DatetimeField(null=True)
    revoked_at = fields.DatetimeField(null=True)
    last_used_at = fields.DatetimeField(null=True)
    rotated_from = id_field(null=True)

    class Meta:
        table = "api_keys"
        indexes = (("tenant_id", "environment_id", "created_at", "id"),)


class SessionTable(TenantTable):
    """One sign-in: the family of the refresh tokens that descend from it."""

    user_id = id_field()
    expires_at = fields.DatetimeField()
    revoked_at = fields.DatetimeField(null=True)
    revoked_because = fields.CharField(max_length=32, null=True)

    class Meta:
        table = "sessions"
        indexes = (("tenant_id", "user_id"),)


class RefreshTokenTable(Model):
    """A refresh token is used once; one used again revokes its session."""

    hash = fields.CharField(max_length=64, primary_key=True)
    tenant_id = id_field()
    session_id = id_field()
    issued_at = fields.DatetimeField()
    expires_at = fields.DatetimeField()
    used_at = fields.DatetimeField(null=True)

    class Meta:
        table = "refresh_tokens"
        indexes = (("session_id",),)


class LoginAttemptTable(Model):
    """Attempts to sign in within a window, by e-mail address and by network address."""

    key = fields.CharField(max_length=64, primary_key=True)  # SHA-256: no address is kept
    attempts = fields.IntField()
    window_ends_at = fields.DatetimeField(db_index=True)

    class Meta:
        table = "login_attempts"


class AuditEntryTable(Model):
    """Append-only: the application's role may neither update nor delete it."""

    id = id_field(primary_key=True)
    tenant_id = id_field()
    environment_id = id_field()
    at = fields.DatetimeField()
    actor_kind = fields.CharField(max_length=20)
    actor_id = fields.CharField(max_length=64)
    request_id = fields.CharField(max_length=64, null=True)
    action = fields.CharField(max_length=64)
    entity_id = fields.CharField(max_length=255)  # an event's id is its sender's choice
    before = fields.JSONField[dict[str, object]](null=True)
    after = fields.JSONField[dict[str, object]](null=True)

    class Meta:
        table = "audit_entries"
        indexes = (
            ("tenant_id", "environment_id", "entity_id"),
            ("tenant_id", "environment_id", "at"),
        )
