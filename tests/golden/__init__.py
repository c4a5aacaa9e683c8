"""What the engine makes of facts, kept: facts in, lines and totals out, with every explanation.

`python -m tests.golden` writes the corpus anew, after ENGINE_VERSION was raised.
"""
