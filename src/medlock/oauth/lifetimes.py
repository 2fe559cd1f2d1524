"""How long things live, in one place. docs/spec/oauth.md says the same, and a test compares them.

SMART wants short access tokens (an hour at most, five minutes for backend services), g10 refresh tokens of three months
that renew themselves; ASVS 10.4.8 wants every chain of them to end some day.
"""

from __future__ import annotations

MINUTE = 60
HOUR = 60 * MINUTE
DAY = 24 * HOUR

ACCESS = 10 * MINUTE
BACKEND = 5 * MINUTE  # SMART Backend Services: expires_in SHOULD NOT exceed 300
CODE = 60  # RFC 6749 §4.1.2 allows ten minutes; ASVS 10.4.3 one
ID_TOKEN = HOUR
REFRESH_IDLE = 100 * DAY  # g10: at least three months, anew with every use
REFRESH_ABSOLUTE = 365 * DAY
REFRESH_GRACE = 5
"""Seconds in which the refresh token just replaced is refused without ending everything: two tabs, a lost answer."""

ONLINE_IDLE = DAY
"""`online_access` lives with the session, and never longer than this without use."""

PENDING = 15 * MINUTE  # from the request to the person's decision
PUSHED = 90  # RFC 9126 §2.2
LAUNCH = 5 * MINUTE
SPENT = HOUR  # how long a redeemed code is remembered when nothing else keeps its approval
ASSERTION = 5 * MINUTE  # SMART: exp at most five minutes ahead
INITIAL_TOKEN = 7 * DAY
KEY_OVERLAP = 2 * DAY  # a replaced signing key stays published this long
