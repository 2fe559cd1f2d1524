"""Nobody gives their own account a role that treats: that takes a second operator where one could do it alone.

That is asked when the site asks it of everybody (`MEDLOCK_TWO_PERSONS`), and in any case when an account that
administers others is to treat, or when the operator gives the role to the account that bears their own name. The
account waits then: nobody signs in with it until another operator approves.

Operators are known by the names under which they type, as the log has them. Who can type under any name, as root can,
is stopped by nothing here, and seen by the log alone.
"""

from __future__ import annotations

from medlock.access.principal import Role
from medlock.access.roles import TREATS
from medlock.errors import Conflict
from medlock.identity.account import Account, Status


def is_own(account: Account, by: str) -> bool:
    """Whether an operator's name is that of the account."""
    return account.login != "" and by.rpartition(":")[2].casefold() == account.login


def needs_second(account: Account, former: tuple[Role, ...], by: str, *, everybody: bool) -> bool:
    """Whether what an account is given beside its former roles takes a second person."""
    gained = (TREATS & set(account.roles)) - set(former)
    return bool(gained) and (everybody or Role.SECURITY_ADMIN in former or is_own(account, by))


def resting(account: Account) -> Status:
    """Where an account stands that is not disabled."""
    if account.asked:
        return Status.WAITING
    return Status.ACTIVE if account.login and account.reviewed else Status.INVITED


def refuse_approval(account: Account, by: str) -> None:
    """Return when this operator may approve what an account waits for. Raises Conflict."""
    if account.status is not Status.WAITING:
        raise Conflict("This account waits for nobody's approval.")
    if by == account.asked or is_own(account, by):
        raise Conflict("Another operator approves: not who asked for the role, nor whose account it is.")
