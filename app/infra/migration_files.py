"""Which migrations of PostgreSQL come with this program."""

from importlib import resources


def postgres_migrations() -> set[str]:
    """Their names, such as 0001_initial."""
    folder = resources.files("migrations") / "postgres"
    return {path.name[:-3] for path in folder.iterdir() if path.name[:4].isdecimal()}
