"""The presets, each with the legal text that it follows.

Safe Harbor removes the 18 identifiers of 45 CFR 164.514(b)(2)(i): of dates the year stays, of places the state and
three digits of the ZIP code. Resource ids become keyed pseudonyms, the re-identification codes that 164.514(c) allows
as long as the key is not disclosed. A limited data set keeps dates, town and postal code and asks for a data use
agreement. The GDPR preset pseudonymises: people, numbers and streets are invented, dates move, everything needs the
key as "additional information" that is kept apart; the output is still personal data.
"""

from __future__ import annotations

from typing import Final

from medlock.deid.fhir.profile import Dates, People, Places, Profile
from medlock.deid.fhir.rules import Method, Rule

# A contact without name, telecom and address breaks pat-1, and says nothing but that there is somebody.
_NO_CONTACTS: Final = (Rule("Patient.contact", Method.REDACT),)
SAFE_HARBOR: Final = Profile(
    "safe-harbor", "45 CFR 164.514(b)(2)", Dates.YEAR, Places.STATE, People.DROP, rules=_NO_CONTACTS
)
LIMITED: Final = Profile(
    "limited", "45 CFR 164.514(e)(2)", Dates.KEEP, Places.TOWN, People.DROP, cap_ages=False, rules=_NO_CONTACTS
)
GDPR: Final = Profile("gdpr", "GDPR Art. 4(5)", Dates.SHIFT, Places.SURROGATE, People.SURROGATE, cap_ages=False)
PRESETS: Final = {profile.name: profile for profile in (SAFE_HARBOR, LIMITED, GDPR)}
