"""Short closed lists: a string on one of them says nothing about a person that the preset does not allow.

States and countries (ISO 3166-1 alpha-2 and alpha-3 by form, USPS), languages (ISO 639-1), currencies (ISO 4217),
media types that records use, and the five code lists with a required binding that R4's definitions leave out.
"""

from __future__ import annotations

from typing import Final


def _words(*lines: str) -> frozenset[str]:
    return frozenset(word for line in lines for word in line.split())


_STATE_CODES: Final = _words(
    "AL AK AZ AR CA CO CT DE DC FL GA HI ID IL IN IA KS KY LA ME MD MA MI MN MS MO MT NE NV NH NJ NM NY NC ND OH OK OR",
    "PA RI SC SD TN TX UT VT VA WA WV WI WY AS GU MP PR VI",
)
_STATE_NAMES: Final = frozenset(
    name
    for line in (
        "Alabama,Alaska,Arizona,Arkansas,California,Colorado,Connecticut,Delaware,District of Columbia,Florida,Georgia",
        "Hawaii,Idaho,Illinois,Indiana,Iowa,Kansas,Kentucky,Louisiana,Maine,Maryland,Massachusetts,Michigan,Minnesota",
        "Mississippi,Missouri,Montana,Nebraska,Nevada,New Hampshire,New Jersey,New Mexico,New York,North Carolina",
        "North Dakota,Ohio,Oklahoma,Oregon,Pennsylvania,Rhode Island,South Carolina,South Dakota,Tennessee,Texas,Utah",
        "Vermont,Virginia,Washington,West Virginia,Wisconsin,Wyoming,American Samoa,Guam,Northern Mariana Islands",
        "Puerto Rico,Virgin Islands",
    )
    for name in line.split(",")
)
STATES: Final = _STATE_CODES | _STATE_NAMES
AMERICA: Final = _words("US USA") | {"United States", "United States of America"}
_ALPHA_2: Final = _words(
    "AD AE AF AG AI AL AM AO AQ AR AS AT AU AW AX AZ BA BB BD BE BF BG BH BI BJ BL BM BN BO BQ BR BS BT BV BW BY BZ CA",
    "CC CD CF CG CH CI CK CL CM CN CO CR CU CV CW CX CY CZ DE DJ DK DM DO DZ EC EE EG EH ER ES ET FI FJ FK FM FO FR GA",
    "GB GD GE GF GG GH GI GL GM GN GP GQ GR GS GT GU GW GY HK HM HN HR HT HU ID IE IL IM IN IO IQ IR IS IT JE JM JO JP",
    "KE KG KH KI KM KN KP KR KW KY KZ LA LB LC LI LK LR LS LT LU LV LY MA MC MD ME MF MG MH MK ML MM MN MO MP MQ MR MS",
    "MT MU MV MW MX MY MZ NA NC NE NF NG NI NL NO NP NR NU NZ OM PA PE PF PG PH PK PL PM PN PR PS PT PW PY QA RE RO RS",
    "RU RW SA SB SC SD SE SG SH SI SJ SK SL SM SN SO SR SS ST SV SX SY SZ TC TD TF TG TH TJ TK TL TM TN TO TR TT TV TW",
    "TZ UA UG UM US UY UZ VA VC VE VG VI VN VU WF WS YE YT ZA ZM ZW",
)
COUNTRIES: Final = (
    _ALPHA_2 | AMERICA | _words("AUS AUT BEL BRA CAN CHE CHN DEU DNK ESP FIN FRA GBR IND IRL ISR ITA JPN")
)
LANGUAGES: Final = _words(
    "aa ab af ak am ar as av ay az ba be bg bi bm bn bo br bs ca ce ch co cr cs cv cy da de dv dz ee el en eo es et eu",
    "fa ff fi fj fo fr fy ga gd gl gn gu gv ha he hi ho hr ht hu hy hz ia id ie ig ii ik io is it iu ja jv ka kg ki kj",
    "kk kl km kn ko kr ks ku kv kw ky la lb lg li ln lo lt lu lv mg mh mi mk ml mn mr ms mt my na nb nd ne ng nl nn no",
    "nr nv ny oc oj om or os pa pi pl ps pt qu rm rn ro ru rw sa sc sd se sg si sk sl sm sn so sq sr ss st su sv sw ta",
    "te tg th ti tk tl tn to tr ts tt tw ty ug uk ur uz ve vi vo wa wo xh yi yo za zh zu",
)
CURRENCIES: Final = _words(
    "AED ALL AMD ARS AUD BAM BDT BGN BHD BOB BRL CAD CHF CLP CNY COP CRC CZK DKK DOP DZD EGP EUR GBP GEL GHS GTQ HKD",
    "HNL HUF IDR ILS INR ISK JMD JOD JPY KES KRW KWD KZT LBP LKR MAD MXN MYR NGN NIO NOK NPR NZD OMR PAB PEN PHP PKR",
    "PLN PYG QAR RON RSD RUB SAR SEK SGD THB TND TRY TWD TZS UAH UGX USD UYU UZS VND ZAR",
)
MEDIA_TYPES: Final = _words(
    "text/plain text/html text/xml text/rtf text/csv text/markdown application/pdf application/rtf application/xml",
    "application/json application/fhir+json application/fhir+xml application/hl7-v3+xml application/hl7-cda+xml",
    "application/dicom application/msword application/octet-stream image/jpeg image/png image/gif image/tiff image/bmp",
    "image/webp image/svg+xml audio/mpeg audio/wav audio/ogg video/mp4 video/mpeg video/quicktime text/cql",
    "text/fhirpath application/x-fhir-query application/xhtml+xml",
)
UNSHIPPED: Final = {
    "units-of-time": _words("s min h d wk mo a"),
    "audit-event-action": _words("C R U D E"),
    "audit-event-outcome": _words("0 4 8 12"),
    "network-type": _words("1 2 3 4 5"),
    "currencies": CURRENCIES,
    "mimetypes": MEDIA_TYPES,
}


def is_language(tag: str) -> bool:
    """A tag of BCP 47 made of a known language and at most a script and a known region."""
    parts = tag.split("-")
    tail = [part for part in parts[1:] if not (len(part) == 4 and part.isalpha() and part[0].isupper())]
    return parts[0] in LANGUAGES and len(parts) <= 3 and all(part in _ALPHA_2 for part in tail)


def media_type(text: str) -> str:
    """The media type without parameters, lower-case; "" when it is not on the list."""
    bare = text.partition(";")[0].strip().lower()
    return bare if bare in MEDIA_TYPES else ""
