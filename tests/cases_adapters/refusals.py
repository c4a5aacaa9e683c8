"""What we refuse on purpose, and why. Few; each names a behaviour, whichever case shows it."""

REASONS = {
    "unconfirmed": (
        "the case itself is marked as not confirmed: its figure contradicts the rules that all "
        "others follow"
    ),
    "minimum_above_maximum": (
        "a minimum above the maximum leaves no amount that fulfils both; it is refused when the "
        "price is made, by MINIMUM_ABOVE_MAXIMUM"
    ),
}


class RefusedByDecision(Exception):
    """`reason` is a key of `REASONS`."""

    def __init__(self, reason: str) -> None:
        super().__init__(REASONS[reason])
        self.reason = reason
