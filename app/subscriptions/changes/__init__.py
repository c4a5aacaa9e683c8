"""What the verbs make of a subscription, each a pure function that refuses what is not allowed."""
