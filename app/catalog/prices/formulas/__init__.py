"""The language of formula prices: arithmetic over meters, with units, that always ends.

`parser` reads a text into the tree of `syntax`, `printing` writes it back, `units` and `ranges`
check it before it is ever used, and `evaluation` works it out with its trace.
"""
