"""The people of the identity tests."""

from tests.identity.conftest import crew, login

__all__ = ["crew", "login"]
