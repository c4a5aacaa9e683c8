"""What documents need of customers and of the environment, in the graph."""

from tests.graphql.conftest import caller_in

CUSTOMER = """
    id taxId registrationNumber electronicAddress { scheme id } locale invoicePrefix
    consolidateInvoices
"""


async def test_a_customer_has_what_documents_need_and_a_patch_clears_it(ask):
    made = await ask(
        f"""mutation ($i: CustomerCreateInput!) {{ customerCreate(input: $i) {{
          ... on Customer {{ {CUSTOMER} }} }} }}""",
        {"i": {
            "externalId": "acme", "name": "Acme", "taxId": "DE123456789",
            "registrationNumber": "HRB 7", "locale": "de-DE", "invoicePrefix": "ACME",
            "electronicAddress": {"scheme": "9930", "id": "DE123456789"},
            "consolidateInvoices": True,
        }},
    )  # fmt: skip
    found = made["data"]["customerCreate"]
    assert found.pop("id")
    assert found == {
        "taxId": "DE123456789", "registrationNumber": "HRB 7", "locale": "de-DE",
        "electronicAddress": {"scheme": "9930", "id": "DE123456789"},
        "invoicePrefix": "ACME", "consolidateInvoices": True,
    }  # fmt: skip
    page = await ask('{ customers(filter: {taxId: {eq: "DE123456789"}}) { nodes { id } } }')
    key = page["data"]["customers"]["nodes"][0]["id"]
    changed = await ask(
        f"""mutation ($i: CustomerUpdateInput!) {{ customerUpdate(input: $i) {{
          ... on Customer {{ {CUSTOMER} }} ... on Problem {{ code field }} }} }}""",
        {"i": {"id": key, "electronicAddress": None, "locale": None, "consolidateInvoices": None}},
    )
    after = changed["data"]["customerUpdate"]
    assert (after["electronicAddress"], after["locale"], after["consolidateInvoices"]) == (
        None, None, None,
    )  # fmt: skip
    assert (after["taxId"], after["invoicePrefix"]) == ("DE123456789", "ACME")
    bad = {"i": {"id": key, "electronicAddress": {"scheme": "x", "id": "y"}}}
    refused = await ask(
        """mutation ($i: CustomerUpdateInput!) { customerUpdate(input: $i) {
          ... on Problem { code field } } }""",
        bad,
    )
    assert refused["data"]["customerUpdate"] == {
        "code": "INVALID_SCHEME", "field": "electronicAddress.scheme",
    }  # fmt: skip


async def test_the_seller_and_the_look_of_documents_are_settings(ask, place):
    who = caller_in(place)
    text = """mutation ($i: SettingsUpdateInput!) { settingsUpdate(input: $i) {
      ... on EnvironmentSettings {
        invoice { creditNotePrefix zeroInvoices consolidate numberDate }
        seller { street city postalCode country taxId registrationNumber electronicScheme
                 electronicId iban }
        documents { layout locale sections paymentTerms } }
      ... on Problem { code field } } }"""
    given = {
        "seller": {
            "street": "1 Airport Blvd", "city": "Berlin", "postalCode": "10115", "country": "DE",
            "taxId": "DE136695976", "registrationNumber": "HRB 2", "electronicScheme": "9930",
            "electronicId": "DE136695976", "iban": "DE89370400440532013000",
        },
        "documents": {
            "layout": "DETAILED", "locale": "el-GR", "sections": "SUBSCRIPTION",
            "paymentTerms": "Net 30.",
        },
        "invoice": {
            "creditNotePrefix": "GS", "zeroInvoices": "ISSUE_AS_PAID", "consolidate": True,
            "numberDate": "SHORT_MONTH",
        },
    }  # fmt: skip
    answer = await ask(text, {"i": given}, caller=who)
    assert answer["data"]["settingsUpdate"] == given
    bad = {"documents": {"locale": "ko-KR"}}
    refused = await ask(text, {"i": bad}, caller=who)
    assert refused["data"]["settingsUpdate"] == {
        "code": "INVALID_SETTING", "field": "documents.locale",
    }  # fmt: skip
