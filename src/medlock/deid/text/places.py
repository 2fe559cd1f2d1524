"""Addresses and facilities by their form: streets, post codes, "City, ST", hospitals; English and Spanish."""

from __future__ import annotations

import re
from collections.abc import Iterator

from medlock.deid.text.lexicon import EPONYMOUS, MEDICAL, Mark, marks
from medlock.deid.text.names import eponymous
from medlock.deid.text.spans import Kind, Span

_CAP = r"(?:(?:St|Ste|Mt|Ft|[A-Z])\.|[A-ZÁÉÍÓÚÜÑÇ][\w'’·´-]*+)"
# Where a word begins, so that no search starts again within a word with hyphens.
_BEGIN = r"(?<![\w'’·´-])"
_STATES = (
    "AL AK AZ AR CA CO CT DE FL GA HI ID IL IN IA KS KY LA ME MD MA MI MN MS MO MT NE NV NH NJ NM NY NC ND OH OK OR "
    "PA RI SC SD TN "
    "TX UT VT VA WA WV WI WY DC PR"
).split()
_STATE_NAMES = (
    "Alabama|Alaska|Arizona|Arkansas|California|Colorado|Connecticut|Delaware|Florida|Georgia|Hawaii|Idaho|Illinois|"
    "Indiana|Iowa|"
    "Kansas|Kentucky|Louisiana|Maine|Maryland|Massachusetts|Michigan|Minnesota|Mississippi|Missouri|Montana|Nebraska|"
    "Nevada|"
    "New (?:Hampshire|Jersey|Mexico|York)|North (?:Carolina|Dakota)|Ohio|Oklahoma|Oregon|Pennsylvania|Rhode Island|"
    "South (?:Carolina|Dakota)|Tennessee|Texas|Utah|Vermont|Virginia|Washington|West Virginia|Wisconsin|Wyoming|"
    "Puerto Rico"
)
_STATE = rf"(?:(?:{'|'.join(_STATES)})\b(?!-)|(?:{_STATE_NAMES})\b)"
_STREET_WORD = (
    r"(?:Street|St|Avenue|Ave|Av|Boulevard|Blvd|Road|Rd|Lane|Ln|Drive|Dr|Court|Ct|Place|Pl|Square|Sq|Terrace|Ter|Way|"
    r"Circle|Cir|"
    r"Parkway|Pkwy|Highway|Hwy|Trail|Trl|Alley|Plaza|Loop|Crescent|Close|Row|Walk|Pike|Route|Rte|Mews|Crossing|Spur|"
    r"Turnpike)"
)
_UNIT = (
    r"(?:,?\s+(?:(?:Apt|Apartment|Suite|Ste|Unit|Room|Rm|Floor|Fl|Bldg|Building)\.?\s?#?\s?|#\s?)[\w-]{1,6}"
    r"(?:\s(?:Floor|Fl)\b)?)?"
)
_NUMBER = r"(?<![\w/.-])\d{1,6}(?:-\d{1,4})?[A-Z]?"
_STREET = re.compile(
    rf"{_NUMBER}[ ]+(?:(?:[NSEW]|North|South|East|West|NE|NW|SE|SW)\.?[ ]+)?(?:(?:{_CAP}|\d{{1,3}}(?:st|nd|rd|"
    rf"th))[ ]+){{1,4}}?"
    rf"{_STREET_WORD}\b\.?(?:\s(?:[NSEW]|NE|NW|SE|SW)\b)?{_UNIT}"
)
_LOWER_STREET = re.compile(
    r"(?<![\w/.-])\d{2,6}\s+(?:[a-z]+\s+){1,2}(?:street|avenue|ave|boulevard|blvd|road|lane|drive|"
    r"court)\b(?!\s(?:drug|value))"
)
_BOX = re.compile(r"\b(?:P\.?\s?O\.?\s?Box|Apartado(?: de correos)?|Apdo\.?)\s*\d+", re.IGNORECASE)
_SPANISH_STREET = re.compile(
    r"(?<![\w])(?:[Cc]/|[Cc]alle|CALLE|[Aa]v(?:enid[ao]|da|d)?\.?|[Pp]laza|[Pp]za\.?|[Pp]l\.|[Pp]aseo|[Pp]º\.?|"
    r"[Pp]so\.?|[Cc]arretera|"
    r"[Cc]tra\.?|[Cc]amino|[Rr]onda|[Tt]raves[ií]a|[Cc]uesta|[Gg]lorieta|[Rr]ambla|[Uu]rb(?:anizaci[oó]n|\.)|"
    r"[Vv][ií]a|[Bb]arrio|"
    r"[Pp]ol[ií]gono|[Pp]asaje|[Cc]alz(?:ada)?\.?|[Cc]ol(?:onia|\.)|[Cc]arrera|[Cc]arrer|[Ss]ector)\s?"
    r"(?:(?:de|del|la|las|los|el|l['´’]|d['´’]|i|y)\s?)*[A-ZÁÉÍÓÚÜÑ\d][^\n:;()]{1,60}?"
    r"(?:,?\s?(?:n[ºo°]\.?\s?|km\.?\s?|s/n)?\d{0,5}(?:[-,./\s]{1,2}(?:\d{1,3}\s?[ºª°]?|bajo|[Bb]j|[Ee]sc(?:alera)?|"
    r"[Pp]uerta|[Pp]iso|"
    r"[Ii]zq(?:da|uierda)?|[Dd](?:cha|erecha)|[A-Z])\b\.?)*)(?=\s*(?:[.\n]|$|\d{5}\b|[,;(]))"
)
_US_ZIP = re.compile(rf"(?<=[\s,.])(?P<state>{_STATE})[,.]?\s+(?P<zip>\d{{5}}(?:-\d{{4}})?)(?![\w-])")
_CUED_ZIP = re.compile(
    r"\b(?:zip(?:\s?code)?|postal code|post code|c\.?\s?p\.?|c[oó]digo postal)\s*(?:is\s*|:\s*|"
    r"\.\s*)?(?P<zip>\d{5}(?:-\d{4})?)(?![\w-])",
    re.IGNORECASE,
)
_SPANISH_ZIP = re.compile(r"(?<![\w.,/-])(?:0[1-9]|[1-4]\d|5[0-2])\d{3}(?=[\s,.-]+\(?[A-ZÁÉÍÓÚÑ][a-záéíóúñü]+)(?!-)")
_CITY_STATE = re.compile(rf"{_BEGIN}(?:{_CAP}[ ]){{0,2}}{_CAP},[ ]?{_STATE}")
_FACILITY_WORD = (
    r"(?:Hospitals?|Clinics?|Clinic['’]s|Medical Cent(?:er|re)|Med(?:ical)?\.? C(?:en)?te?r\.?|Med|Health Cent(?:er|"
    r"re)|Healthcare|Health System|Health Alliance|Health|"
    r"Cancer Cent(?:er|re)|Cent(?:er|re)|Infirmary|Sanatorium|Hospice|Nursing Home|Rehab(?:ilitation)?(?: Cent(?:er|"
    r"re))?|"
    r"Institute|University|College|Medical Group|Memorial|General|Pavilion|Surgery Center|Urgent Care|Pharmacy|"
    r"Laboratory|Labs?)"
)
_FACILITY_SURE = re.compile(
    r"\b(?:[Hh]ospital|[Cc]linic|Medical C|Med\.? C|Health Cent|Cancer Cent|Infirmary|Hospice|Memorial|Health System|"
    r"Health Alliance|Healthcare|campus|office)"
)
_LOWER_FACILITY = (
    r"(?:(?:downtown|main|outpatient|community|family|primary care|walk-in|urgent care|satellite|north|south|east|"
    r"west)\s)?(?:clinic|hospital|medical center|health center|office|campus|nursing home|rehab)"
)
_FACILITY = re.compile(
    rf"{_BEGIN}(?:{_CAP}[ ]+(?:(?:&|of|and|for|the)[ ]+)?){{1,5}}(?:{_FACILITY_WORD}|{_LOWER_FACILITY})\b"
    rf"(?:[ ](?:{_CAP}[ ])?{_FACILITY_WORD}\b)*(?:[ ](?:of|at|in)[ ](?:the[ ])?{_CAP}(?:[ ]{_CAP})*|"
    rf"(?:,?[ ]{_CAP}){{1,2}}(?=[ ](?:on|with|for|in)\b|[,.?]))?"
    rf"(?:,\s?{_STATE})?"
)
_SPANISH_FACILITY = re.compile(
    r"\b(?:Hospital(?:es)?|Cl[ií]nica|Complejo (?:Hospitalario|Asistencial)|Centro (?:de Salud|M[eé]dico|"
    r"Hospitalario|Sanitario)|"
    r"Policl[ií]nica|Sanatorio|Ambulatorio|Instituto|Fundaci[oó]n|Universidad|Facultad|Servicio (?:de Salud|"
    r"[A-Z][\w-]+ de Salud)|"
    r"Consultorio|Hospici?o|Residencia)(?:[ ]+(?:(?:de|del|la|las|los|el|y|e|i|en|da|do|San|Santa)[ ]+)*"
    r"(?:(?:Dra?|Sta|Sto|Ntra|Sra|Gral|Univ)\.|[A-ZÁÉÍÓÚÜÑ][\w'´’-]*|\d{1,2}\b))+"
)
_SAINT = re.compile(rf"\b(?:St|Mt|Ste|Saint|Mount)\.?[ ]{_CAP}(?:['’]s)?(?:[ ]{_CAP})*")
# Facilities that are called by a short name; facts anyone in the field knows.
_SHORT = re.compile(
    r"\b(?:Mayo(?: Clinic)?|Johns Hopkins|Hopkins|Cedars?[- ]Sinai|Mount Sinai|Mass(?:\.|achusetts)? General|MGH|BWH|"
    r"Brigham(?: and Women['’]s)?|"
    r"UCSF|UCLA|UCSD|UCI|UPMC|UPenn|NYU(?: Langone)?|NYP|NewYork-Presbyterian|CHOP|MSK(?:CC)?|"
    r"Memorial Sloan[- ]Kettering|MD Anderson|Kaiser"
    r"(?: Permanente)?|Bellevue|Stanford|Baylor|Geisinger|Intermountain|Dana[- ]Farber|Beth Israel(?: Deaconess)?|"
    r"BIDMC|Tufts|"
    r"UW Med(?:icine)?|Emory|Vanderbilt|OHSU|UCHealth|Northwell|Montefiore|HUP|CHLA|LAC\+USC|VA Hospital|VAMC|NIH|"
    r"Barnes[- ]Jewish)\b"
    r"(?:\s(?:&\s)?[A-Z][a-z]+(?:['’]s)?\b){0,3}"
)
_CITY_CUE = re.compile(
    r"\b(?:in|from|at|near|to|our|the|of|outside|lives?|living|residing|resident|visiting|en|de|desde|a|provincia:|"
    r"localidad:)\s(?:the\s)?$",
    re.IGNORECASE,
)
_CAPITALISED = re.compile(r"\b[A-ZÁÉÍÓÚÜÑ][a-záéíóúüñ]+(?:\s(?:de\s|del\s|la\s)*[A-ZÁÉÍÓÚÜÑ][a-záéíóúüñ]+)*")
_CITIES = re.compile(r"\b(?:NYC|LA|SF|DC|the Bronx|Brooklyn|Manhattan|Queens|Staten Island|Long Island|Bay Area)\b")
_ORDINARY_BEFORE_FACILITY = {"the", "a", "our", "your", "this", "that", "outpatient", "local", "public"}


def find_places(text: str, *, spanish: bool = False) -> Iterator[Span]:
    """All of them; finds may overlap."""
    yield from _each(_STREET, text, Kind.STREET, 0.95)
    yield from _each(_LOWER_STREET, text, Kind.STREET, 0.8)
    yield from _each(_BOX, text, Kind.STREET, 0.95)
    for pattern in (_US_ZIP, _CUED_ZIP):
        for match in pattern.finditer(text):
            yield Span(*match.span("zip"), Kind.ZIP, 0.96, "rule:zip")
    yield from _each(_CITY_STATE, text, Kind.PLACE, 0.9)
    yield from _cities(text)
    if not spanish:
        yield from _facilities(text)
    else:
        yield from _each(_SPANISH_STREET, text, Kind.STREET, 0.9)
        yield from _each(_SPANISH_ZIP, text, Kind.ZIP, 0.8)
        yield from _each(_SPANISH_FACILITY, text, Kind.HOSPITAL, 0.85)


def _cities(text: str) -> Iterator[Span]:
    """Cities of the list: of several words anywhere, of one word after "in", "from", "our" and the like."""
    for match in _CITIES.finditer(text):
        if len(match[0]) > 3 or _CITY_CUE.search(text, max(0, match.start() - 16), match.start()):
            yield Span(match.start(), match.end(), Kind.PLACE, 0.8, "rule:city")
    for match in _CAPITALISED.finditer(text):
        words = match[0].split()
        cued = bool(_CITY_CUE.search(text, max(0, match.start() - 16), match.start()))
        for size in range(len(words), 0, -1):
            phrase = " ".join(words[:size])
            if marks(phrase) & Mark.CITY and (size > 1 or (cued and not marks(phrase) & EPONYMOUS)):
                if eponymous(text, match.start(), match.start() + len(phrase)):
                    break
                yield Span(match.start(), match.start() + len(phrase), Kind.PLACE, 0.7, "rule:city")
                break


def _facilities(text: str) -> Iterator[Span]:
    yield from _each(_SHORT, text, Kind.HOSPITAL, 0.8)
    for match in _SAINT.finditer(text):
        yield Span(match.start(), match.end(), Kind.HOSPITAL, 0.75, "rule:saint")
    for match in _FACILITY.finditer(text):
        first = match[0].split()[0].lower()
        start = match.start() + (len(first) + 1 if first in _ORDINARY_BEFORE_FACILITY else 0)
        if _is_facility(text[start : match.end()]):
            yield Span(start, match.end(), Kind.HOSPITAL, 0.85, "rule:facility")


def _is_facility(found: str) -> bool:
    """Whether a run that ends in a facility word names one: "Chicago clinic", but not "Mental Health"."""
    words = [word for word in found.split() if word[0].isupper()]
    plain = all(_ordinary(word) for word in words)
    if len(words) == 1:
        return not plain
    return bool(_FACILITY_SURE.search(found)) or not plain


def _ordinary(word: str) -> bool:
    """Whether a capitalised word is plain or clinical English, as in "Mental Health"."""
    known = marks(word.rstrip(".,"))
    return bool(known & (Mark.ENGLISH | MEDICAL)) and not known & (Mark.CITY | Mark.USUAL_LAST | Mark.USUAL_FIRST)


def _each(pattern: re.Pattern[str], text: str, kind: Kind, sure: float) -> Iterator[Span]:
    for match in pattern.finditer(text):
        yield Span(match.start(), match.start() + len(match[0].rstrip(".,; ")), kind, sure, f"rule:{kind.lower()}")


def is_region(word: str) -> bool:
    """Whether a word is a state of the USA, which HIPAA lets stand."""
    return bool(marks(word) & Mark.REGION)
