"""Forged, stale and strange tokens: every one is refused."""

import base64
import hashlib
import hmac
import json
from datetime import UTC, datetime, timedelta

import jwt
import pytest

from app.config import Auth
from app.kernel.errors import Unauthenticated
from app.kernel.ids import new_id
from app.tenants import access_token

AUTH = Auth(jwt_secret="a secret of at least 32 characters", access_token_seconds=900)
AT = datetime(2026, 1, 15, 12, tzinfo=UTC)
USER, TENANT, SESSION = new_id("usr"), new_id("ten"), new_id("ses")
HEADER = {"alg": "HS256", "typ": "JWT"}
NOW = int(AT.timestamp())
CLAIMS = {
    "iss": "tariff",
    "aud": "tariff-api",
    "iat": NOW,
    "nbf": NOW,
    "exp": NOW + 900,
    "sub": USER,
    "ten": TENANT,
    "sid": SESSION,
}


def b64(data):
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def token(header=None, claims=None, *, secret=AUTH.jwt_secret, digest=hashlib.sha256):
    """A token by hand, since a library would refuse to write most of these."""
    head = b64(json.dumps(HEADER if header is None else header).encode())
    body = b64(json.dumps(CLAIMS if claims is None else claims).encode())
    signature = hmac.new(secret.encode(), f"{head}.{body}".encode(), digest).digest()
    return f"{head}.{body}.{b64(signature)}"


def without(name):
    return {key: value for key, value in CLAIMS.items() if key != name}


def unsigned(text):
    return text.rsplit(".", 1)[0] + "."


def signature_of(signed, other):
    return other.rsplit(".", 1)[0] + "." + signed.rsplit(".", 1)[1]


GOOD = token()
FORGERIES = {
    "no signature": unsigned(GOOD),
    "alg none": unsigned(token(HEADER | {"alg": "none"})),
    "alg None in capitals": unsigned(token(HEADER | {"alg": "NONE"})),
    "alg none, signed": token(HEADER | {"alg": "none"}),
    "another secret": token(secret="another secret of 32 characters!!"),
    "an empty secret": token(secret=""),
    "HS512": token(HEADER | {"alg": "HS512"}, digest=hashlib.sha512),
    "HS384 named, HS256 done": token(HEADER | {"alg": "HS384"}),
    "RS256 named": token(HEADER | {"alg": "RS256"}),
    "a key id that is a path": token(HEADER | {"kid": "../../../../dev/null"}),
    "a key id that is SQL": token(HEADER | {"kid": "x' UNION SELECT 'k"}),
    "a key's address": token(HEADER | {"jku": "https://evil.example/keys"}),
    "a certificate's address": token(HEADER | {"x5u": "https://evil.example/cert"}),
    "a key of its own": token(HEADER | {"jwk": {"kty": "oct", "k": b64(b"x" * 32)}}),
    "a critical extension": token(HEADER | {"crit": ["b64"], "b64": False}),
    "another type": token(HEADER | {"typ": "JOSE"}),
    "no type": token({"alg": "HS256"}),
    "a changed subject": signature_of(GOOD, token(claims=CLAIMS | {"sub": new_id("usr")})),
    "another issuer": token(claims=CLAIMS | {"iss": "other"}),
    "another audience": token(claims=CLAIMS | {"aud": "other"}),
    "a list of audiences": token(claims=CLAIMS | {"aud": ["tariff-api", "other"]}),
    "expired": token(claims=CLAIMS | {"exp": NOW}),
    "not yet begun": token(claims=CLAIMS | {"nbf": NOW + 60}),
    "issued in the future": token(claims=CLAIMS | {"iat": NOW + 60}),
    "an expiry in text": token(claims=CLAIMS | {"exp": str(NOW + 900)}),
    "a fractional expiry": token(claims=CLAIMS | {"exp": NOW + 900.5}),
    "a boolean expiry": token(claims=CLAIMS | {"exp": True}),
    "a longer life than ours": token(claims=CLAIMS | {"exp": NOW + 901}),
    "an endless expiry": token(claims=CLAIMS | {"exp": 10**400}),
    "a tenant for a user": token(claims=CLAIMS | {"sub": TENANT}),
    "a number for a tenant": token(claims=CLAIMS | {"ten": 7}),
    "a session that is no id": token(claims=CLAIMS | {"sid": "ses_1"}),
    **{f"no {name}": token(claims=without(name)) for name in CLAIMS},
    "claims that are a list": token(claims=[CLAIMS]),
    "two parts": GOOD.rsplit(".", 1)[0],
    "five parts": GOOD + ".x.y",
    "not base64": "é.é.é",
    "empty": "",
    "dots": "..",
    "longer than any of ours": GOOD + "A" * access_token.MAX_LENGTH,
    "another signature's end": GOOD[:-2] + ("AA" if GOOD[-2:] != "AA" else "BB"),
}


@pytest.mark.parametrize("forgery", FORGERIES)
def test_a_forged_token_is_refused(forgery):
    with pytest.raises(Unauthenticated):
        access_token.verify(AUTH, FORGERIES[forgery], at=AT)


def test_the_token_that_the_forgeries_are_made_from_is_good():
    claims = access_token.verify(AUTH, GOOD, at=AT)
    assert (claims.user_id, claims.tenant_id, claims.session_id) == (USER, TENANT, SESSION)


def test_what_we_sign_we_accept_until_its_last_second():
    text = access_token.sign(AUTH, user_id=USER, tenant_id=TENANT, session_id=SESSION, at=AT)
    last = AT + timedelta(seconds=899)
    assert access_token.verify(AUTH, text, at=last).session_id == SESSION
    with pytest.raises(Unauthenticated) as refused:
        access_token.verify(AUTH, text, at=AT + timedelta(seconds=900))
    assert refused.value.code == "ACCESS_TOKEN_EXPIRED"
    with pytest.raises(Unauthenticated):
        access_token.verify(AUTH, text, at=AT - timedelta(seconds=1))


def test_a_refusal_repeats_nothing_of_the_token():
    for forgery in FORGERIES.values():
        with pytest.raises(Unauthenticated) as refused:
            access_token.verify(AUTH, forgery, at=AT)
        assert len(refused.value.message) < 60


def test_a_signature_by_a_public_key_taken_for_a_secret_is_no_signature():
    """The confusion of RS256 and HS256 needs a verifier that takes both."""
    public = "-----BEGIN PUBLIC KEY-----\nMIIB\n-----END PUBLIC KEY-----\n"
    text = token(HEADER | {"alg": "RS256"}, secret=public)
    with pytest.raises(Unauthenticated):
        access_token.verify(AUTH, text, at=AT)
    with pytest.raises(jwt.InvalidAlgorithmError):
        jwt.decode(text, AUTH.jwt_secret, algorithms=["HS256"])
