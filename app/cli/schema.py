"""`tariff schema`: the GraphQL schema on stdout, as schema.graphql holds it."""

import argparse
import sys

from app.graphql.schema import sdl


def run(_arguments: argparse.Namespace) -> int:
    """Print the SDL."""
    sys.stdout.write(sdl())
    return 0
