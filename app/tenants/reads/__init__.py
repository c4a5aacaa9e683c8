"""Queries, one module per kind of thing. Every one takes the scope first, or says why not."""
