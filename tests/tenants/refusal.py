import pytest

from tests.tenants import make


async def refused(error, action, **expected):
    """That `action` raises `error`, and that no row of the domain changed."""
    before = await make.snapshot()
    with pytest.raises(error) as raised:
        await action
    for name, value in expected.items():
        assert getattr(raised.value, name) == value
    assert await make.snapshot() == before
