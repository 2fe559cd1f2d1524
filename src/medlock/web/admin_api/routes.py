"""Addresses of the administration, with what each declares: docs/admin.md."""

from __future__ import annotations

from medlock.web.declared import Declared, Face, Permission, Rate

BODY_BYTES = 64 * 1024


def _asked(path: str) -> Declared:
    """What an administrator looks at."""
    return Declared(path, ("GET",), Permission.ADMIN, Rate.PAGE, face=Face.OAUTH)


def _sent(path: str) -> Declared:
    """What an administrator does, having proved lately who they are."""
    return Declared(path, ("POST",), Permission.ADMIN_PROVEN, Rate.PAGE, body=BODY_BYTES, face=Face.OAUTH)


CLIENTS, REGISTER = _asked("/admin/clients"), _sent("/admin/clients")
CLIENT = _asked("/admin/clients/{id}")
APPROVE = _sent("/admin/clients/{id}/approve")
DISABLE = _sent("/admin/clients/{id}/disable")
SECRET = _sent("/admin/clients/{id}/secret")
KEYS = _sent("/admin/clients/{id}/keys")
INVITE = _sent("/admin/initial-tokens")

DECLARED: tuple[Declared, ...] = tuple(each for each in list(globals().values()) if isinstance(each, Declared))
