"""Is a text a unit of measure? The grammar of UCUM (v2.1 §2) over the units that medicine uses.

A unit is free text in FHIR, so it is parsed: what parses cannot hold a name or a number of a person. Annotations in
braces are free text again and stand on a list of their own. Some spellings outside UCUM that records use are listed.
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import Final


def _words(*lines: str) -> tuple[str, ...]:
    return tuple(word for line in lines for word in line.split())


_METRIC: Final = _words(
    "m g s l L mol Hz N Pa J W V A K cd rad sr C F S Wb T H Cel lm lx Bq Gy Sv kat U [iU] [IU] eq osm cal bar u eV t",
    "m[Hg] m[H2O] B Bq Ohm [Cal] [arb'U] b st",
)
_OTHER: Final = _words(
    "% [ppth] [ppm] [ppb] [pptr] min h d wk mo a [in_i] [ft_i] [yd_i] [mi_i] [lb_av] [oz_av] [st_av] [gr] [degF] deg",
    "[pH] [drp] [tsp_us] [tbs_us] [cup_us] [foz_us] [gal_us] [pt_us] [qt_us] [CFU] [PFU] [TCID_50] [HPF] [LPF] [diop]",
    "[MET] [in_i'H2O] [in_i'Hg] [car_m] [Ch] ['] [''] ' '' [USP'U] [Amb'a'1'U] [BAU] [AU] [FFU] [EID_50] [ELU] [GPL'U]",
    "[MPL'U] [APL'U] [S] [m/s2/Hz^0.5] [dye'U] [todd'U] [knk'U] [mclg'U] [tb'U] [bdsk'U] [beth'U] [anti'Xa'U]",
)
_PREFIX: Final = "(?:da|[YZEPTGMkhdcmunpfazy])?"
_EXPONENT: Final = r"(?:[+-]?[0-9]{1,2})?"


def _any(atoms: tuple[str, ...]) -> str:
    return "|".join(re.escape(atom) for atom in sorted(set(atoms), key=len, reverse=True))


_NOTE: Final = r"(?:\{(?P<note>[^{}]*)\})"
_ATOM: Final = (
    rf"(?:(?:{_PREFIX}(?:{_any(_METRIC)})|{_any(_OTHER)}){_EXPONENT}|10\*{_EXPONENT}|10\^{_EXPONENT}|[0-9]{{1,4}})"
)
_COMPONENT: Final = re.compile(rf"(?:{_ATOM}{_NOTE}?|(?:\{{(?P<only>[^{{}}]*)\}}))")
_SPLIT: Final = re.compile(r"[./](?![^{}]*\})(?![^\[\]]*\])")
_NOTES: Final = frozenset(
    _words(
        "score T-score Z-score count # nominal ratio index titer copies cells cell RBC WBC rbc wbc creat CRE Creat tot",
        "breaths beats beat breath 1.73_m2 pH nM mM INR GFR eq CAE FEU DDU delta log_copies log cfu CFU OD S/CO EIA",
        "events times visits dose doses tablet tbl capsule puff drops pack packs year years week weeks day days month",
        "cigarettes drinks steps percent units unit hpf lpf HPF LPF spermatozoa platelets ReportableUnits",
    )
)
_SPELLINGS: Final = frozenset(
    _words(
        "mmHg mmhg bpm beats/minute breaths/minute beats/min breaths/min /min lbs lb in inches oz ft kgs cc mcg mcg/mL",
        "mcg/dL IU/L IU/mL IU mEq/L mEq mOsm/kg degC degF F °C °F C sec secs seconds mins minutes hr hrs hours days",
        "day weeks week wks months month years year yr yrs",
        "tablet tablets capsule capsules puff puffs drop drops (score)",
        "mL/min/1.73m2 mL/min/1.73m^2 x10^9/L x10^12/L x10^3/uL x10^6/uL K/mcL M/mcL cells/mm3 /HPF /LPF mmol/mol",
        "score count ratio pH cells/uL K/uL M/uL x10E3/uL x10E6/uL % percent units unit U/mL dose doses TAB CAP",
    )
)


@lru_cache(maxsize=4_096)
def is_unit(text: str) -> bool:
    """True for a unit of UCUM's grammar, or one of the spellings listed here."""
    if text in _SPELLINGS:
        return True
    if not text or len(text) > 40 or text.count("(") != text.count(")"):
        return False
    bare = text.replace("(", "").replace(")", "")
    parts = _SPLIT.split(bare.removeprefix("/"))
    return all(_is_component(part) for part in parts)


def _is_component(text: str) -> bool:
    found = _COMPONENT.fullmatch(text)
    if found is None:
        return False
    notes = [note for note in (found["note"], found["only"]) if note is not None]
    return all(note in _NOTES for note in notes)
