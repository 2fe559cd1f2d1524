"""The rules written by hand say the same as the official FHIRPath, whatever the element looks like."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from medlock.fhir.fhirpath import compile_expression
from medlock.fhir.invariants import official
from medlock.fhir.native_rules import NATIVE
from medlock.fhir.structures import Structure, structure

SYSTEM = "http://terminology.hl7.org/CodeSystem/"
SYSTEMS = (
    "condition-clinical",
    "condition-ver-status",
    "allergyintolerance-verification",
    "allergyintolerance-clinical",
)
DATES = ("2026", "2026-03", "2026-03-01", "2026-03-02", "2026-03-01T10:00:00Z", "2026-03-01T10:00:00+02:00")
DATES += ("2026-03-01T08:00:00Z", "2026-03-01T08:00:00.5Z", "2025-12-31T23:59:60-05:00")
ADVICE = {"extension": [{"url": "urn:x", "valueCode": "unknown"}]}


def maybe(**members):
    """Objects with any of these members."""
    return st.fixed_dictionaries({}, optional=members)


CODING = maybe(
    system=st.sampled_from([SYSTEM + name for name in SYSTEMS]),
    code=st.sampled_from(["resolved", "remission", "inactive", "active", "entered-in-error"]),
)
CONCEPT = maybe(coding=st.lists(CODING, max_size=2), text=st.just("x"))
META = maybe(versionId=st.just("1"), lastUpdated=st.just("2026"), security=st.lists(CODING, max_size=1))
RESOURCE = st.just({"resourceType": "Basic", "id": "c"})
PERIOD = maybe(start=st.sampled_from(DATES), end=st.sampled_from(DATES), _end=st.just(ADVICE))
NAMED = st.lists(
    st.fixed_dictionaries({"text": st.just("x")}, optional={"use": st.sampled_from(["home", "work"])}), max_size=2
)
HOME = st.sampled_from([{"use": "home"}, {"use": "work"}, {"text": "x"}])
CONTAINED = st.lists(
    st.fixed_dictionaries(
        {"resourceType": st.just("Basic")}, optional={"meta": META, "contained": st.lists(RESOURCE, max_size=1)}
    ),
    max_size=2,
)

ELEMENTS = {
    "att-1": maybe(data=st.just("QQ=="), _data=st.just(ADVICE), contentType=st.just("text/plain"), url=st.just("x")),
    "cpt-2": maybe(value=st.just("1"), _value=st.just(ADVICE), system=st.just("phone"), _system=st.just(ADVICE)),
    "qty-3": maybe(
        code=st.just("1"), _code=st.just(ADVICE), system=st.just("x"), _system=st.just(ADVICE), value=st.just(1)
    ),
    "per-1": PERIOD,
    "obs-6": maybe(
        dataAbsentReason=CONCEPT, valueString=st.just("x"), _valueString=st.just(ADVICE), valueInteger=st.just(1)
    ),
    "obs-7": maybe(code=CONCEPT, valueInteger=st.just(1), component=st.lists(maybe(code=CONCEPT), max_size=2)),
    "org-1": maybe(
        name=st.just("x"),
        _name=st.just(ADVICE),
        identifier=st.lists(CODING, max_size=1),
        active=st.sampled_from([True]),
    ),
    "org-2": HOME,
    "org-3": HOME,
    "dom-2": maybe(contained=CONTAINED),
    "dom-4": maybe(contained=CONTAINED),
    "dom-5": maybe(contained=CONTAINED),
    "ait-1": maybe(clinicalStatus=CONCEPT, verificationStatus=CONCEPT),
    "ait-2": maybe(clinicalStatus=CONCEPT, verificationStatus=CONCEPT),
    "con-4": maybe(clinicalStatus=CONCEPT, abatementString=st.just("x"), _abatementDateTime=st.just(ADVICE)),
    "con-5": maybe(clinicalStatus=CONCEPT, verificationStatus=CONCEPT),
    "bdl-5": maybe(
        resource=RESOURCE, request=st.just({"url": "x"}), response=st.just({"status": "1"}), fullUrl=st.just("x")
    ),
    "ig-1": maybe(
        grouping=st.lists(maybe(id=st.sampled_from("gh"), name=st.just("x")), max_size=2),
        resource=st.lists(maybe(groupingId=st.sampled_from("gh"), name=st.just("x")), max_size=2),
    ),
    "ig-2": maybe(
        fhirVersion=st.lists(st.sampled_from("gh"), max_size=2),
        definition=maybe(resource=st.lists(maybe(fhirVersion=st.lists(st.sampled_from("gh"), max_size=2)), max_size=2)),
    ),
    "bdl-8": maybe(fullUrl=st.sampled_from(["urn:x", "a/_history/1"]), resource=RESOURCE),
}
KINDS = {
    "att": "Attachment", "cpt": "ContactPoint", "qty": "Quantity", "per": "Period", "obs": "Observation",
    "dom": "Patient", "ait": "AllergyIntolerance", "con": "Condition", "bdl": "Bundle.entry", "org": "Organization",
}  # fmt: skip
PARTS = {"org-2": "Address", "org-3": "ContactPoint"}
OWNERS = {"ig-1": "ImplementationGuide.definition", "ig-2": "ImplementationGuide"}


def expression_of(key: str, shape: Structure) -> str:
    """The official FHIRPath of a rule, from the structure or from its elements."""
    rules = [*shape.rules, *(rule for element in shape.elements for rule in element.rules)]
    return next(text for name, text in rules if name == key)


@pytest.mark.parametrize("key", sorted(NATIVE))
def test_each_native_rule_agrees_with_the_official_one(key):
    """Both give the same answer on elements of every make-up, well-formed ones at least."""
    shape = structure(OWNERS.get(key) or KINDS[key.partition("-")[0]])
    official_rule = official(compile_expression(expression_of(key, shape)), PARTS.get(key, shape.name))

    @settings(max_examples=80, deadline=None)
    @given(ELEMENTS[key])
    def agree(element):
        element = {"resourceType": shape.name} | element if shape.is_resource and key not in PARTS else element
        assert NATIVE[key](element) is official_rule(element, element if shape.is_resource else {})

    agree()


@pytest.mark.parametrize("key", sorted(NATIVE))
@settings(max_examples=40)
@given(
    members=st.dictionaries(
        st.sampled_from(
            sorted(
                {
                    "contained",
                    "code",
                    "system",
                    "start",
                    "end",
                    "fullUrl",
                    "use",
                    "component",
                    "clinicalStatus",
                    "verificationStatus",
                    "valueString",
                    "abatementString",
                    "identifier",
                    "data",
                }
            )
        ),
        st.recursive(
            st.none() | st.integers() | st.text(max_size=3) | st.just({"code": {}}),
            lambda x: (
                st.lists(x, max_size=2)
                | st.dictionaries(st.sampled_from(["coding", "meta", "system", "code", "security"]), x, max_size=3)
            ),
        ),
    )
)
def test_no_native_rule_raises_on_malformed_members(key, members):
    """Members of a wrong type are reported elsewhere; a rule only has to survive them."""
    assert NATIVE[key](members) in {True, False}
