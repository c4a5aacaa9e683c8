"""Tenants, people, keys and the audit log through the graph, with callers that really exist."""

import hashlib
from typing import Any

import msgspec
import pytest

from app.config import Auth
from app.graphql.schema import SHOWN_ONCE
from app.infra.postgres import system
from app.kernel.ids import new_id
from app.kernel.scope import SYSTEM
from app.tenants.actions import sessions, users
from app.tenants.authentication import Caller, Credentials, authenticate, open_authenticator
from app.tenants.commands import LogIn
from app.tenants.reads import users as user_reads
from app.tenants.role import BUILT_IN, PERMISSIONS
from app.tenants.tenant import whole
from tests.graphql.conftest import caller_in
from tests.tenants import make

SYSTEM_KEY = "an operator's key of more than enough characters"
AUTH = Auth(
    jwt_secret="a secret of at least 32 characters",
    system_keys=[hashlib.sha256(SYSTEM_KEY.encode()).hexdigest()],
    key_cache_seconds=0,
)
PROBLEM = "... on Problem { __typename code message field }"


@pytest.fixture
async def enter(database: Any, clock: Any) -> Any:
    """`await enter(key=…)`: the caller that authentication finds."""
    settings = msgspec.structs.replace(database, auth=AUTH)
    async with open_authenticator(settings, clock) as authenticator:

        async def go(**credentials: Any) -> Caller:
            return await authenticate(authenticator, Credentials(**credentials))

        yield go


@pytest.fixture
async def made(database: Any, clock: Any) -> Any:
    return await make.owned_tenant(clock)


@pytest.fixture
async def owner(made: Any, enter: Any, clock: Any) -> Caller:
    """The tenant's owner, signed in to production."""
    command = LogIn(email=made.owner.email, password=make.PASSWORD)
    tokens = await sessions.log_in(AUTH, command, address=None, request_id=None, at=clock.now())
    caller: Caller = await enter(token=tokens.access_token)
    return caller


@pytest.fixture
async def operator(enter: Any) -> Caller:
    caller: Caller = await enter(key=SYSTEM_KEY)
    return caller


def field_of(answer: dict[str, Any]) -> Any:
    """The only root field of an answer without errors."""
    assert "errors" not in answer, answer
    [value] = answer["data"].values()
    return value


def code_of(answer: dict[str, Any]) -> Any:
    [error] = answer["errors"]
    return error["extensions"]["code"]


async def do(ask: Any, caller: Caller, verb: str, shape: str, /, **values: Any) -> Any:
    """Run the mutation `verb` with its input, and give what it answers."""
    kind = verb[0].upper() + verb[1:] + "Input"
    text = f"mutation ($input: {kind}!) {{ {verb}(input: $input) {{ {shape} {PROBLEM} }} }}"
    return field_of(await ask(text, {"input": values}, caller=caller))


async def test_me_says_who_where_and_what(ask: Any, enter: Any, made: Any, clock: Any) -> None:
    text = """{ me { actorKind actorId permissions tenant { id name suspended }
                     environment { id name type } user { email roles }
                     serviceAccount { name } } }"""
    robot = await make.account(made, clock, account_roles=("viewer",))
    created = await make.key(
        make.development(made), clock, permissions=["event:read"], service_account_id=robot.id
    )
    me = field_of(await ask(text, caller=await enter(key=created.secret.text)))
    assert me == {
        "actorKind": "SERVICE_ACCOUNT",
        "actorId": robot.id,
        "permissions": ["event:read"],
        "tenant": {"id": made.tenant.id, "name": "Acme", "suspended": False},
        "environment": {
            "id": made.development.id,
            "name": "Development",
            "type": "DEVELOPMENT",
        },
        "user": None,
        "serviceAccount": {"name": "robot"},
    }
    me = field_of(await ask(text, caller=await enter(key=SYSTEM_KEY)))
    assert (me["actorKind"], me["tenant"], me["environment"]) == ("SYSTEM_KEY", None, None)
    assert code_of(await ask(text, anonymous=True)) == "UNAUTHENTICATED"


async def test_a_signed_in_user_finds_themself(ask: Any, owner: Caller, made: Any) -> None:
    me = field_of(await ask("{ me { actorKind user { id email roles } } }", caller=owner))
    user = {"id": made.owner.id, "email": made.owner.email, "roles": ["owner"]}
    assert me == {"actorKind": "USER", "user": user}


async def test_a_tenant_reads_and_renames_itself(ask: Any, owner: Caller, made: Any) -> None:
    text = "{ tenant { id name status metadata suspendedAt } }"
    assert field_of(await ask(text, caller=owner)) == {
        "id": made.tenant.id,
        "name": "Acme",
        "status": "ACTIVE",
        "metadata": {},
        "suspendedAt": None,
    }
    after = await do(ask, owner, "tenantUpdate", "... on Tenant { name }", name="Acme Two")
    assert after == {"name": "Acme Two"}
    problem = await do(ask, owner, "tenantUpdate", "__typename", name=None)
    assert (problem["code"], problem["field"]) == ("REQUIRED", "name")


async def test_only_a_system_key_creates_lists_suspends_and_reactivates_tenants(
    ask: Any, owner: Caller, operator: Caller, enter: Any, clock: Any
) -> None:
    create = """mutation ($input: TenantCreateInput!) { tenantCreate(input: $input) {
        ... on CreatedTenant { tenant { id name } production { id type } development { type }
                               owner { email roles } } ... on Problem { code field } } }"""
    email = make.address()
    new = {"name": "New", "owner": {"email": email, "name": "Z", "password": make.PASSWORD}}
    before = await make.snapshot()
    assert code_of(await ask(create, {"input": new}, caller=owner)) == "SYSTEM_KEY_REQUIRED"
    assert code_of(await ask("{ tenants { id } }", caller=owner)) == "SYSTEM_KEY_REQUIRED"
    suspend = (
        "mutation ($input: TenantSuspendInput!) { tenantSuspend(input: $input) { __typename } }"
    )
    mine = {"input": {"id": owner.tenant.id if owner.tenant else ""}}
    assert code_of(await ask(suspend, mine, caller=owner)) == "SYSTEM_KEY_REQUIRED"
    assert await make.snapshot() == before
    made = field_of(await ask(create, {"input": new}, caller=operator))
    assert made["owner"] == {"email": email, "roles": ["owner"]}
    assert (made["production"]["type"], made["development"]["type"]) == (
        "PRODUCTION",
        "DEVELOPMENT",
    )
    again = field_of(await ask(create, {"input": new}, caller=operator))
    assert (again["code"], again["field"]) == ("ALREADY_EXISTS", "email")
    tenant_id = made["tenant"]["id"]
    page = field_of(
        await ask(
            "query ($after: ID) { tenants(first: 1, after: $after) { id } }",
            {"after": tenant_id[:-1]},
            caller=operator,
        )
    )
    assert page == [{"id": tenant_id}]
    await do(ask, operator, "tenantSuspend", "... on Tenant { status }", id=tenant_id)
    place = {"tenant_id": tenant_id, "environment_id": made["production"]["id"]}
    inside = await enter(key=SYSTEM_KEY, **place)
    customer = {"input": {"externalId": "a", "name": "A"}}
    text = """mutation ($input: CustomerCreateInput!) { customerCreate(input: $input) {
              __typename } }"""
    assert code_of(await ask(text, customer, caller=inside)) == "TENANT_SUSPENDED"
    assert field_of(await ask("{ customers { nodes { id } } }", caller=inside)) == {"nodes": []}
    status = await do(ask, operator, "tenantReactivate", "... on Tenant { status }", id=tenant_id)
    assert status == {"status": "ACTIVE"}
    inside = await enter(key=SYSTEM_KEY, **place)
    assert field_of(await ask(text, customer, caller=inside)) == {"__typename": "Customer"}


async def test_environments_from_creation_to_restoration(ask: Any, owner: Caller) -> None:
    shape = "... on Environment { id name type status archivedAt }"
    new = await do(ask, owner, "environmentCreate", shape, name="Staging", type="DEVELOPMENT")
    assert (new["name"], new["type"], new["status"]) == ("Staging", "DEVELOPMENT", "ACTIVE")
    problem = await do(ask, owner, "environmentCreate", shape, name="Staging", type="PRODUCTION")
    assert (problem["__typename"], problem["field"]) == ("AlreadyExists", "name")
    renamed = await do(ask, owner, "environmentUpdate", shape, id=new["id"], name="Test")
    assert renamed["name"] == "Test"
    closed = await do(ask, owner, "environmentArchive", shape, id=new["id"])
    assert closed["status"] == "ARCHIVED"
    text = """query ($filter: EnvironmentFilter, $orderBy: [EnvironmentOrder!]) {
        environments(filter: $filter, orderBy: $orderBy) { nodes { name } totalCount } }"""
    arguments = {"filter": {"status": {"eq": "ACTIVE"}}, "orderBy": [{"field": "NAME"}]}
    found = field_of(await ask(text, arguments, caller=owner))
    assert found == {"nodes": [{"name": "Development"}, {"name": "Production"}], "totalCount": 2}
    opened = await do(ask, owner, "environmentRestore", shape, id=new["id"])
    assert (opened["status"], opened["archivedAt"]) == ("ACTIVE", None)


async def test_settings_change_by_what_is_named(ask: Any, owner: Caller) -> None:
    shape = """... on EnvironmentSettings { invoice { numberPrefix numberDate dueDays }
               events { maxPastDays } }"""
    changes = {
        "invoice": {"numberPrefix": "ACME", "numberDate": "YEAR", "dueDays": 14},
        "events": {"maxPastDays": 90},
    }
    after = await do(ask, owner, "settingsUpdate", shape, **changes)
    assert after == changes
    after = await do(ask, owner, "settingsUpdate", shape, invoice={"dueDays": None}, events=None)
    assert after == {
        "invoice": {"numberPrefix": "ACME", "numberDate": "YEAR", "dueDays": 30},
        "events": {"maxPastDays": None},
    }
    query = "{ settings { invoice { numberPrefix dueDays } } }"
    found = field_of(await ask(query, caller=owner))
    assert found == {"invoice": {"numberPrefix": "ACME", "dueDays": 30}}
    shape = "... on EnvironmentSettings { invoice { sellerName sellerLines sellerEmail } }"
    seller = {
        "sellerName": "Skyport GmbH",
        "sellerLines": ["1 Main St", "10115 Berlin"],
        "sellerEmail": "billing@skyport.example",
    }
    after = await do(ask, owner, "settingsUpdate", shape, invoice=seller)
    assert after == {"invoice": seller}
    after = await do(ask, owner, "settingsUpdate", shape, invoice={"sellerLines": None})
    assert after == {"invoice": seller | {"sellerLines": []}}
    problem = await do(ask, owner, "settingsUpdate", shape, invoice={"dueDays": 366})
    assert (problem["code"], problem["field"]) == ("INVALID_SETTING", "invoice.dueDays")


async def test_a_user_is_invited_given_a_role_and_archived(
    ask: Any, owner: Caller, clock: Any
) -> None:
    shape = "... on User { id email roles status }"
    email = make.address()
    invitation = await do(
        ask,
        owner,
        "userInvite",
        "... on Invitation { token expiresAt user { id status roles } }",
        email=email,
        name="Eve",
        roles=["viewer"],
    )
    assert invitation["token"].startswith("ti_")
    user = invitation["user"]
    assert (user["status"], user["roles"]) == ("INVITED", ["viewer"])
    again = await do(ask, owner, "userInviteAgain", "... on Invitation { token }", id=user["id"])
    assert again["token"] != invitation["token"]
    role = await do(
        ask,
        owner,
        "roleCreate",
        "... on Role { id permissions }",
        name="auditor",
        permissions=["audit:read"],
    )
    assigned = await do(ask, owner, "roleAssign", shape, principalId=user["id"], role=role["id"])
    assert assigned["roles"] == [role["id"], "viewer"]
    lost = await do(ask, owner, "roleUnassign", shape, principalId=user["id"], role="viewer")
    assert lost["roles"] == [role["id"]]
    problem = await do(ask, owner, "roleArchive", "__typename", id=role["id"])
    assert problem["code"] == "ROLE_IN_USE"
    changed = await do(ask, owner, "userUpdate", shape, id=user["id"], email=email.upper())
    assert changed["email"] == email
    gone = await do(ask, owner, "userArchive", shape, id=user["id"])
    assert gone["status"] == "ARCHIVED"
    text = """{ users(filter: {status: {eq: ARCHIVED}}, search: "eve") { nodes { id } } }"""
    assert field_of(await ask(text, caller=owner)) == {"nodes": [{"id": user["id"]}]}
    back = await do(ask, owner, "userRestore", shape, id=user["id"])
    assert back["status"] == "INVITED"
    created = await do(
        ask,
        owner,
        "userCreate",
        shape,
        email=make.address(),
        name="Bob",
        password=make.PASSWORD,
    )
    assert (created["status"], created["roles"]) == ("ACTIVE", [])


async def test_service_accounts_and_roles_live_like_users(ask: Any, owner: Caller) -> None:
    shape = "... on ServiceAccount { id name roles status }"
    robot = await do(
        ask, owner, "serviceAccountCreate", shape, name="robot", roles=["event_ingestor"]
    )
    assert (robot["roles"], robot["status"]) == (["event_ingestor"], "ACTIVE")
    renamed = await do(ask, owner, "serviceAccountUpdate", shape, id=robot["id"], name="loader")
    assert renamed["name"] == "loader"
    given = await do(ask, owner, "roleAssign", shape, principalId=robot["id"], role="viewer")
    assert given["roles"] == ["event_ingestor", "viewer"]
    gone = await do(ask, owner, "serviceAccountArchive", shape, id=robot["id"])
    assert gone["status"] == "ARCHIVED"
    back = await do(ask, owner, "serviceAccountRestore", shape, id=robot["id"])
    assert back["status"] == "ACTIVE"
    listed = field_of(await ask("{ serviceAccounts { nodes { name } } }", caller=owner))
    assert listed == {"nodes": [{"name": "loader"}]}
    shape = "... on Role { id name permissions status }"
    role = await do(ask, owner, "roleCreate", shape, name="one", permissions=["audit:read"])
    role = await do(
        ask, owner, "roleUpdate", shape, id=role["id"], permissions=["user:read", "user:read"]
    )
    assert (role["name"], role["permissions"]) == ("one", ["user:read"])
    gone = await do(ask, owner, "roleArchive", shape, id=role["id"])
    assert gone["status"] == "ARCHIVED"
    back = await do(ask, owner, "roleRestore", shape, id=role["id"])
    assert back["status"] == "ACTIVE"
    listed = field_of(
        await ask("{ roles(filter: {status: {eq: ACTIVE}}) { nodes { name } } }", caller=owner)
    )
    assert listed == {"nodes": [{"name": "one"}]}


async def test_roles_and_permissions_are_told_to_anybody_known(ask: Any, owner: Caller) -> None:
    answer = await ask("{ builtInRoles { name permissions } permissions }", caller=owner)
    assert answer["data"]["permissions"] == sorted(PERMISSIONS)
    assert answer["data"]["builtInRoles"] == [
        {"name": name, "permissions": sorted(given)} for name, given in BUILT_IN.items()
    ]


async def test_a_key_is_shown_once_works_is_rotated_and_revoked(
    ask: Any, owner: Caller, enter: Any
) -> None:
    new = (
        "... on NewApiKey { secret apiKey { id prefix status permissions rotatedFrom createdBy } }"
    )
    made = await do(ask, owner, "apiKeyCreate", new, name="ingest", permissions=["event:write"])
    key = made["apiKey"]
    assert made["secret"].startswith(key["prefix"] + "_")
    assert (key["status"], key["createdBy"]) == ("ACTIVE", owner.actor.id)
    assert (await enter(key=made["secret"])).permissions == {"event:write"}
    rotated = await do(ask, owner, "apiKeyRotate", new, id=key["id"], overlapSeconds=0)
    assert rotated["apiKey"]["rotatedFrom"] == key["id"]
    assert (await enter(key=rotated["secret"])).scope == owner.scope
    revoked = await do(
        ask, owner, "apiKeyRevoke", "... on ApiKey { status }", id=rotated["apiKey"]["id"]
    )
    assert revoked == {"status": "REVOKED"}
    problem = await do(ask, owner, "apiKeyRevoke", "__typename", id=rotated["apiKey"]["id"])
    assert problem["code"] == "API_KEY_REVOKED"
    text = "{ apiKeys(orderBy: {field: CREATED_AT}) { nodes { prefix status } totalCount } }"
    listed = field_of(await ask(text, caller=owner))
    assert listed["totalCount"] == 2
    assert {node["status"] for node in listed["nodes"]} == {"EXPIRED", "REVOKED"}


async def test_answers_with_secrets_are_marked_to_be_kept_nowhere() -> None:
    secrets = {"apiKeyCreate", "apiKeyRotate", "userInvite", "userInviteAgain"}
    assert secrets <= SHOWN_ONCE


async def test_who_lacks_a_permission_cannot_give_it(
    ask: Any, owner: Caller, enter: Any, made: Any, clock: Any
) -> None:
    developer = await enter(
        key=(
            await make.key(make.production(made), clock, permissions=BUILT_IN["developer"])
        ).secret.text
    )
    text = """mutation ($input: ApiKeyCreateInput!) { apiKeyCreate(input: $input) {
              __typename } }"""
    before = await make.snapshot()
    arguments = {"input": {"name": "more", "permissions": ["user:write"]}}
    assert code_of(await ask(text, arguments, caller=developer)) == "BEYOND_OWN_PERMISSIONS"
    for text in (
        'mutation { userArchive(input: {id: "usr_x"}) { __typename } }',
        'mutation { roleCreate(input: {name: "x", permissions: []}) { __typename } }',
        "mutation { tenantUpdate(input: {}) { __typename } }",
        "mutation { settingsUpdate(input: {}) { __typename } }",
    ):
        assert code_of(await ask(text, caller=developer)) == "FORBIDDEN"
    assert await make.snapshot() == before


async def test_the_audit_log_names_the_actor_and_the_request(ask: Any, owner: Caller) -> None:
    await do(ask, owner, "settingsUpdate", "__typename", invoice={"dueDays": 7})
    await do(ask, owner, "tenantUpdate", "__typename", name="Other")
    text = """query ($log: AuditLog!, $filter: AuditEntryFilter) {
        auditEntries(log: $log, filter: $filter, first: 5) {
            nodes { action actorKind actorId requestId entityId before after } } }"""
    [entry] = field_of(await ask(text, {"log": "ENVIRONMENT"}, caller=owner))["nodes"]
    assert (entry["action"], entry["actorKind"]) == ("setting.update", "USER")
    assert entry["actorId"] == owner.actor.id
    assert entry["requestId"].startswith("req_")
    assert entry["after"] == {"invoice": {"due_days": 7}}
    filter_ = {"action": {"startsWith": "tenant."}, "actorKind": {"eq": "USER"}}
    arguments = {"log": "TENANT", "filter": filter_}
    [entry] = field_of(await ask(text, arguments, caller=owner))["nodes"]
    assert (entry["before"]["name"], entry["after"]["name"]) == ("Acme", "Other")


NODES = """query ($ids: [ID!]!) { nodes(ids: $ids) { __typename id } }"""


async def everything(made: Any, clock: Any) -> dict[str, str]:
    """An id of every kind."""
    async with system() as connection:
        entry = await connection.fetchval(
            "SELECT id FROM audit_entries WHERE tenant_id = $1 ORDER BY id LIMIT 1", made.tenant.id
        )
    return {
        "Tenant": made.tenant.id,
        "Environment": made.development.id,
        "User": made.owner.id,
        "ServiceAccount": (await make.account(made, clock)).id,
        "Role": (await make.role(made, clock)).id,
        "ApiKey": (await make.key(make.production(made), clock)).key.id,
        "AuditEntry": entry,
    }


async def test_everything_is_found_by_its_id_and_by_nobody_else(
    ask: Any, owner: Caller, made: Any, clock: Any
) -> None:
    ids = await everything(made, clock)
    arguments = {"ids": list(ids.values())}
    found = field_of(await ask(NODES, arguments, caller=owner))
    assert found == [{"__typename": name, "id": id_} for name, id_ in ids.items()]
    other = await make.tenant(clock)
    stranger = await ask(NODES, arguments, scope=make.production(other))
    assert field_of(stranger) == [None] * len(ids)


async def test_fields_that_take_an_id_know_no_foreign_ones(ask: Any, made: Any, clock: Any) -> None:
    ids = await everything(made, clock)
    scope = make.production(await make.tenant(clock))
    for field, kind in (
        ("environment", "Environment"),
        ("user", "User"),
        ("serviceAccount", "ServiceAccount"),
        ("role", "Role"),
        ("apiKey", "ApiKey"),
    ):
        text = f"query ($id: ID!) {{ {field}(id: $id) {{ id }} }}"
        for id_ in (ids[kind], new_id(ids[kind].partition("_")[0]), "x"):
            assert field_of(await ask(text, {"id": id_}, scope=scope)) is None


async def test_mutations_know_no_foreign_ids(ask: Any, made: Any, clock: Any) -> None:
    ids = await everything(made, clock)
    other = await make.owned_tenant(clock)
    scope = make.production(other)
    before = await make.snapshot()
    for name, kind, values in (
        ("environmentUpdate", "Environment", {"name": "x"}),
        ("environmentArchive", "Environment", {}),
        ("environmentRestore", "Environment", {}),
        ("userUpdate", "User", {"name": "x"}),
        ("userInviteAgain", "User", {}),
        ("userArchive", "User", {}),
        ("userRestore", "User", {}),
        ("serviceAccountUpdate", "ServiceAccount", {"name": "x"}),
        ("serviceAccountArchive", "ServiceAccount", {}),
        ("serviceAccountRestore", "ServiceAccount", {}),
        ("roleUpdate", "Role", {"name": "x"}),
        ("roleArchive", "Role", {}),
        ("roleRestore", "Role", {}),
        ("apiKeyRotate", "ApiKey", {}),
        ("apiKeyRevoke", "ApiKey", {}),
    ):
        text = (
            f"mutation ($input: {name[0].upper()}{name[1:]}Input!) "
            f"{{ {name}(input: $input) {{ {PROBLEM} }} }}"
        )
        answer = await ask(text, {"input": {"id": ids[kind], **values}}, scope=scope)
        assert field_of(answer)["code"] == "NOT_FOUND", name
    assert await make.snapshot() == before


async def test_a_caller_without_an_environment_reaches_what_the_whole_tenant_has(
    ask: Any, enter: Any, made: Any, clock: Any
) -> None:
    caller = await enter(key=SYSTEM_KEY, tenant_id=made.tenant.id)
    found = field_of(await ask("{ users { nodes { id } } }", caller=caller))
    assert found == {"nodes": [{"id": made.owner.id}]}
    text = "query ($id: ID!) { user(id: $id) { id } }"
    assert field_of(await ask(text, {"id": made.owner.id}, caller=caller)) == {"id": made.owner.id}
    for text in ("{ apiKeys { nodes { id } } }", "{ settings { invoice { dueDays } } }"):
        assert code_of(await ask(text, caller=caller)) == "ENVIRONMENT_REQUIRED"
    assert code_of(await ask("{ auditEntries { nodes { id } } }", caller=caller)) == (
        "ENVIRONMENT_REQUIRED"
    )
    log = field_of(await ask("{ auditEntries(log: TENANT) { nodes { action } } }", caller=caller))
    assert {"action": "system_key.use"} in log["nodes"]


async def test_many_nodes_of_a_kind_are_read_in_one_statement(
    ask: Any, owner: Caller, made: Any, clock: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    people = [(await make.invited(made, clock)).user.id for _ in range(5)]
    await users.archive(
        whole(made.tenant.id), people[0], holding=PERMISSIONS, by=SYSTEM, at=clock.now()
    )
    seen = []
    original = user_reads.fetch

    async def counted(*args: Any) -> Any:
        seen.append(args[1])
        return await original(*args)

    monkeypatch.setattr(user_reads, "fetch", counted)
    found = field_of(await ask(NODES, {"ids": people}, caller=owner))
    assert [node["id"] for node in found] == people
    assert len(seen) == 1


async def test_settings_of_amounts_are_read_and_changed(ask, scope, clock):
    made = await make.tenant(clock)
    place = make.production(made)
    text = """mutation ($input: SettingsUpdateInput!) { settingsUpdate(input: $input) {
      ... on EnvironmentSettings { amounts { couponOrder discountSpread prepaidOrder taxRounding
                                             taxInclusive reverseChargeLegend } }
      ... on Problem { code field } } }"""
    changes = {
        "couponOrder": "NARROWEST_FIRST", "discountSpread": "EXACT", "prepaidOrder": "AFTER_TAX",
        "taxRounding": "PER_INVOICE", "taxInclusive": True, "reverseChargeLegend": "You pay it.",
    }  # fmt: skip
    answer = await ask(text, {"input": {"amounts": changes}}, caller=caller_in(place))
    assert answer["data"]["settingsUpdate"]["amounts"] == changes
    wrong = {"input": {"amounts": {"reverseChargeLegend": " "}}}
    refused = (await ask(text, wrong, caller=caller_in(place)))["data"]["settingsUpdate"]
    assert refused == {"code": "INVALID_SETTING", "field": "amounts.reverseChargeLegend"}
