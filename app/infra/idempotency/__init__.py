"""Requests that are carried out once: the answer is stored in the transaction of its effect.

Whoever repeats a key gets the stored answer; a crash before the commit leaves neither effect
nor answer, so the repetition does the work. Answers are kept for `KEPT`.
"""

from app.infra.idempotency.store import KEPT, Claim, Stored, claimed, same_request

__all__ = ["KEPT", "Claim", "Stored", "claimed", "same_request"]
