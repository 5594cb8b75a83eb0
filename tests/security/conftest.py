"""The people of the tests of identity."""

from tests.identity.conftest import crew, login

__all__ = ["crew", "login"]
