"""Spans: what several detectors say becomes one list that covers all of it, exactly, without overlaps."""

from hypothesis import given
from hypothesis import strategies as st

from medlock.deid.text.redactor import Redactor, tag
from medlock.deid.text.spans import Kind, Span, join, resolve

TEXT = "abc DEF. ghi-JKL 123  x"
SPANS = st.lists(
    st.builds(
        lambda start, length, kind, sure: Span(start, min(len(TEXT), start + length), kind, sure, "test"),
        st.integers(0, len(TEXT) - 1),
        st.integers(1, 12),
        st.sampled_from([Kind.NAME, Kind.DATE, Kind.ID]),
        st.sampled_from([0.3, 0.6, 1.0]),
    ),
    max_size=8,
)


@given(SPANS)
def test_resolve_covers_all_and_overlaps_nothing(spans):
    """Every letter and digit that a span covered is covered once; each span holds its own words."""
    for done in (resolve(spans, TEXT), join(resolve(spans, TEXT), TEXT)):
        wanted = {at for span in spans for at in range(span.start, span.end) if TEXT[at].isalnum()}
        covered = [at for span in done for at in range(span.start, span.end) if TEXT[at].isalnum()]
        assert wanted <= set(covered)
        assert len(covered) == len(set(covered))
        assert all(span.text == TEXT[span.start : span.end] for span in done)
        assert [span.start for span in done] == sorted(span.start for span in done)


@given(SPANS)
def test_the_surest_keeps_its_extent(spans):
    """A span with the highest confidence of all is in the result as it was, or a longer one of its rank is."""
    sure = [
        span
        for span in spans
        if span.confidence == 1.0 and TEXT[span.start : span.end].strip() == TEXT[span.start : span.end]
    ]
    done = {(span.start, span.end) for span in resolve(spans, TEXT)}
    longest = max(sure, key=lambda span: span.end - span.start, default=None)
    if longest and any(each.isalnum() for each in TEXT[longest.start : longest.end]):
        assert any(start <= longest.start or end >= longest.end for start, end in done)


def test_words_stay_out_of_repr():
    """A span that is logged tells where, not what."""
    assert "secret" not in repr(Span(0, 6, Kind.NAME, 1.0, "test", "secret"))


@given(st.text(alphabet=st.characters(codec="utf-8", exclude_characters="\0"), max_size=200))
def test_any_text(text):
    """Whatever the text: what is outside the spans comes through untouched, in order."""
    done = Redactor("en").apply(text, replace=tag)
    at, rest = 0, done.text
    for span in done.spans:
        assert rest.startswith(text[at : span.start] + tag(span))
        rest = rest[span.start - at + len(tag(span)) :]
        at = span.end
    assert rest == text[at:]


@given(st.text(alphabet="ab", max_size=6), st.text(alphabet="ab", max_size=6))
def test_within_one_is_damerau(one, two):
    """Within one edit by the quick test is distance at most one by the textbook's table."""
    from medlock.deid.text.typos import Typos, within_one  # noqa: PLC0415 - only here

    assert within_one(one, two) == (damerau(one, two) <= 1)
    assert (one in Typos([one]).near(two)) == (damerau(one, two) <= 1)


def damerau(one, two):
    """Optimal string alignment distance, the naive way."""
    table = {(i, 0): i for i in range(len(one) + 1)} | {(0, j): j for j in range(len(two) + 1)}
    for i in range(1, len(one) + 1):
        for j in range(1, len(two) + 1):
            same = one[i - 1] == two[j - 1]
            table[i, j] = min(table[i - 1, j] + 1, table[i, j - 1] + 1, table[i - 1, j - 1] + (not same))
            if i > 1 and j > 1 and one[i - 1] == two[j - 2] and one[i - 2] == two[j - 1]:
                table[i, j] = min(table[i, j], table[i - 2, j - 2] + 1)
    return table[len(one), len(two)]
