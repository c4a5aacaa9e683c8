"""Tenants, environments, people, keys and the audit log in the graph.

Signing in is not here: it is REST, where one attempt is one request.
"""

from app.graphql.tenants import (
    api_keys,
    audit_log,
    callers,
    environments,
    roles,
    service_accounts,
    settings,
    tenants,
    users,
)

KINDS = (
    *tenants.KINDS,
    *environments.KINDS,
    *users.KINDS,
    *service_accounts.KINDS,
    *roles.KINDS,
    *api_keys.KINDS,
    *audit_log.KINDS,
)
QUERIES = (
    callers.CallerQuery,
    tenants.TenantQuery,
    environments.EnvironmentQuery,
    settings.SettingsQuery,
    users.UserQuery,
    service_accounts.ServiceAccountQuery,
    roles.RoleQuery,
    api_keys.ApiKeyQuery,
    audit_log.AuditQuery,
)
MUTATIONS = (
    tenants.TenantMutation,
    environments.EnvironmentMutation,
    settings.SettingsMutation,
    users.UserMutation,
    service_accounts.ServiceAccountMutation,
    roles.RoleMutation,
    api_keys.ApiKeyMutation,
)
TYPES = (
    tenants.Tenant,
    environments.Environment,
    users.User,
    service_accounts.ServiceAccount,
    roles.Role,
    api_keys.ApiKey,
    audit_log.AuditEntry,
)

__all__ = ["KINDS", "MUTATIONS", "QUERIES", "TYPES"]
