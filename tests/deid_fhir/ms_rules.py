"""Rule files that belong to the vectors of Microsoft's tool, written down from its documented rule format."""

_REDACTED = ("Identifier", "HumanName", "Address", "Annotation", "Attachment", "ContactPoint", "Narrative")


def _common(dates, **parameters):
    kept = ("nodesByType('HumanName').use", "nodesByType('Address').state", "nodesByType('Address').country")
    return {
        "fhirPathRules": [
            *({"path": f"Patient.{path}", "method": "keep"} for path in kept),
            {"path": "Patient.nodesByType('Address').where(city='KeepTest')", "method": "keep"},
            {"path": "Patient.generalPractitioner", "method": "redact"},
            {"path": "Patient.link.other", "method": "redact"},
            *({"path": f"nodesByType('{kind}')", "method": dates} for kind in ("date", "dateTime", "instant")),
            *({"path": f"nodesByType('{kind}')", "method": "redact"} for kind in _REDACTED),
            {"path": "Patient.id", "method": "cryptoHash"},
            {"path": "Observation.subject", "method": "cryptoHash"},
            {"path": "Bundle.entry.fullUrl", "method": "redact"},
        ],
        "parameters": {"cryptoHashKey": "123", "restrictedZipCodeTabulationAreas": ["036", "059", "893"]} | parameters,
    }


def _case(kind, cases, **more):
    return {"path": kind, "method": "generalize", "cases": cases} | more


_NAME = {"family": "example", "given": ["test", "testing"]}
_SUBSTITUTE = {"path": "Patient.name", "method": "substitute", "replaceWith": _NAME}
_ENGLISH = "$this in ('en-AU' | 'en-CA' | 'en-GB' | 'en-IN' | 'en-NZ' | 'en-SG' | 'en-US')"

CONFIGS = {
    "common": _common(
        "dateShift",
        dateShiftKey="123",
        enablePartialAgesForRedact=True,
        enablePartialDatesForRedact=True,
        enablePartialZipCodesForRedact=True,
    ),
    "no-partial": _common("redact"),
    "redact-all": {"fhirPathRules": [{"path": "Resource", "method": "redact"}]},
    "complex": {"fhirPathRules": [_SUBSTITUTE]},
    "primitive": {"fhirPathRules": [{"path": "Patient.name.family", "method": "substitute", "replaceWith": "example"}]},
    "multiple": {
        "fhirPathRules": [
            {
                "path": "Patient.name.period",
                "method": "substitute",
                "replaceWith": {"start": "2020-01-01", "end": "2021-01-01"},
            },
            _SUBSTITUTE,
        ]
    },
    "multiple-2": {
        "fhirPathRules": [
            _SUBSTITUTE,
            {"path": "Patient.name.family", "method": "substitute", "replaceWith": "familttest"},
        ]
    },
    "conflict": {
        "fhirPathRules": [{"path": "Patient.name.period.start", "method": "redact"}, _SUBSTITUTE],
        "parameters": {"enablePartialDatesForRedact": True},
    },
    "generalize": {
        "fhirPathRules": [
            {"path": "nodesByType('Extension')", "method": "redact"},
            _case(
                "Patient.communication.language.coding.code",
                {_ENGLISH: "'en'", "('es-AR' | 'es-ES' | 'es-UY') contains $this": "'es'"},
                otherValues="keep",
            ),
            _case(
                "nodesByType('date')",
                {"$this <= @2020-01-01 and $this >= @1990-01-01": "@2000-01-01"},
                otherValues="redact",
            ),
            _case(
                "nodesByType('dateTime')",
                {"$this <= @2020-01-01T00:00:00Z and $this >= @1990-01-01T00:00:00Z": "@2000-01-01T00:00:00Z"},
            ),
            _case("nodesByType('integer')", {"true": "1"}, otherValues="keep"),
            _case(
                "Patient.nodesByType('Address').postalCode",
                {"$this.startsWith('123')": "$this.substring(0,3)+'****'"},
                otherValues="redact",
            ),
        ]
    },
}
