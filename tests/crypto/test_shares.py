"""codex32 (BIP-93): the published vectors, any threshold of any number, every slip found, fewer shares say nothing."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from medlock.crypto import shares as codex
from medlock.crypto.shares import ALPHABET, INDICES, SECRET_BYTES, Share, join, parse, split

NAME = ("ml", "qpzr")


def of(text: str) -> Share:
    """A published share, whatever its length."""
    data = text.lower()[3:]
    return Share(data[1:5], int(data[0]), data[5], tuple(ALPHABET.index(each) for each in data))


@pytest.mark.parametrize(
    "text",
    [  # BIP-93, vectors 1 to 4
        "ms10testsxxxxxxxxxxxxxxxxxxxxxxxxxx4nzvca9cmczlw",
        "MS12NAMEA320ZYXWVUTSRQPNMLKJHGFEDCAXRPP870HKKQRM",
        "ms13cashf8jh6sdrkpyrsp5ut94pj8ktehhw2hfvyrj48704",
        "ms10leetsllhdmn9m42vcsamx24zrxgs3qrl7ahwvhw4fnzrhve25gvezzyqqtum9pgv99ycma",
    ],
)
def test_published_checksums(text: str) -> None:
    """They fit, and do not when the first character is another."""
    share = of(text)
    assert codex._residue("ms", share.values) == codex._TARGET
    assert codex._residue("ml", share.values) != codex._TARGET
    assert codex._residue("ms", (share.values[0] ^ 1, *share.values[1:])) != codex._TARGET


@pytest.mark.parametrize(
    ("known", "made"),
    [  # BIP-93, vectors 2 and 3
        (
            ["MS12NAMEA320ZYXWVUTSRQPNMLKJHGFEDCAXRPP870HKKQRM", "MS12NAMECACDEFGHJKLMNPQRSTUVWXYZ023FTR2GDZMPY6PN"],
            ["MS12NAMEDLL4F8JLH4E5VDVULDLFXU2JHDNLSM97XVENRXEG", "MS12NAMES6XQGUZTTXKEQNJSJZV4JV3NZ5K3KWGSPHUH6EVW"],
        ),
        (
            [
                "ms13casha320zyxwvutsrqpnmlkjhgfedca2a8d0zehn8a0t",
                "ms13cashcacdefghjklmnpqrstuvwxyz023949xq35my48dr",
                "ms13cashd0wsedstcdcts64cd7wvy4m90lm28w4ffupqs7rm",
            ],
            [
                "ms13casheekgpemxzshcrmqhaydlp6yhms3ws7320xyxsar9",
                "ms13cashf8jh6sdrkpyrsp5ut94pj8ktehhw2hfvyrj48704",
                "ms13cashsllhdmn9m42vcsamx24zrxgs3qqjzqud4m0d6nln",
            ],
        ),
    ],
)
def test_published_shares_derive_from_each_other(known: list[str], made: list[str]) -> None:
    """Further shares and the secret itself, checksum included."""
    for text in made:
        assert codex._at([of(each) for each in known], of(text).index).values == of(text).values


def test_a_published_secret_reads_as_its_bytes() -> None:
    """BIP-93, vector 4: 256 bits, padded with zeros, as we write them."""
    share = of("ms10leetsllhdmn9m42vcsamx24zrxgs3qrl7ahwvhw4fnzrhve25gvezzyqqtum9pgv99ycma")
    secret = bytes.fromhex("ffeeddccbbaa99887766554433221100" * 2)
    assert codex._characters(secret + b"\x00") == share.values[6:-13]


@settings(max_examples=80, deadline=None)
@given(st.data())
def test_any_threshold_of_them_gives_the_secret_back(data: st.DataObject) -> None:
    """Whatever the numbers, whichever shares come together and in what order; one fewer is refused."""
    threshold = data.draw(st.integers(2, 9))
    count = data.draw(st.integers(threshold, len(INDICES)))
    secret = data.draw(st.binary(min_size=32, max_size=32))
    random = data.draw(st.binary(min_size=33 * (threshold - 1), max_size=33 * (threshold - 1)))
    made = split(secret, threshold, count, NAME, random)
    assert len(set(made)) == count
    some = data.draw(st.permutations(made))[: data.draw(st.integers(threshold, count))]
    assert join([parse(each, "ml") for each in some]) == secret
    with pytest.raises(ValueError, match="shares are needed"):
        join([parse(each, "ml") for each in some[: threshold - 1]])


@settings(max_examples=150, deadline=None)
@given(st.data())
def test_every_slip_is_found(data: st.DataObject) -> None:
    """Up to eight characters wrong, two exchanged, one missing or too many: never taken for a share."""
    share = split(bytes(range(32)), 2, 3, NAME, bytes(range(33)))[data.draw(st.integers(0, 2))]
    places = data.draw(st.sets(st.integers(3, len(share) - 1), min_size=1, max_size=8))
    wrong = list(share)
    for at in places:
        wrong[at] = data.draw(st.sampled_from([each for each in ALPHABET if each != share[at]]))
    at = data.draw(st.integers(3, len(share) - 1))
    for slip in ("".join(wrong), share[:at] + share[at + 1 :], share[:at] + "q" + share[at:]):
        with pytest.raises(ValueError, match="share"):
            parse(slip, "ml")
    if share[at - 1] != share[at] and at > 3:
        with pytest.raises(ValueError, match="share"):
            parse(share[: at - 1] + share[at] + share[at - 1] + share[at + 1 :], "ml")


def test_spelling_does_not_matter() -> None:
    """Capitals, spaces and dashes are how people write; letters that the alphabet leaves out are named."""
    share = split(bytes(32), 2, 2, NAME, bytes(33))[0]
    spaced = " - ".join(share[at : at + 4] for at in range(0, len(share), 4)).upper()
    assert parse(spaced, "ml") == parse(share, "ml")
    with pytest.raises(ValueError, match="has no b"):
        parse(share[:20] + "b" + share[21:], "ml")
    for prefix in ("ms", "mm"):
        with pytest.raises(ValueError, match="begins with"):
            parse(share, prefix)


def test_shares_that_do_not_belong_together() -> None:
    """Of two sets, the same twice, or of another secret in the same name."""
    one = [parse(each, "ml") for each in split(bytes(32), 2, 3, NAME, bytes(33))]
    two = [parse(each, "ml") for each in split(bytes(32), 2, 3, ("ml", "zzzz"), bytes(33))]
    three = [parse(each, "ml") for each in split(bytes(range(32)), 2, 3, NAME, bytes(range(33)))]
    for pair, words in (([one[0], two[1]], "one set"), ([one[0], one[0]], "twice"), ([*one[:2], three[2]], "fit")):
        with pytest.raises(ValueError, match=words):
            join(pair)


def test_one_share_says_nothing() -> None:
    """Of two secrets each share of a 2-of-3 set is as likely: for every value of one, some randomness makes it."""
    payloads = set()
    for value in range(32):
        random = bytes([value << 3 & 255, *bytes(32)])
        payloads.add(split(bytes([255] * 32), 2, 3, NAME, random)[1][9])
    assert len(payloads) == 32


def test_numbers_that_cannot_be_are_refused() -> None:
    """One of one is no sharing; more than 31 have no letter; lengths must fit."""
    for threshold, count in ((1, 1), (1, 3), (3, 2), (10, 12), (2, 32)):
        with pytest.raises(ValueError, match="necessary"):
            split(bytes(32), threshold, count, NAME, bytes((threshold - 1) * (SECRET_BYTES + 1)))
    with pytest.raises(ValueError, match="length"):
        split(bytes(31), 2, 3, NAME, bytes(33))
    with pytest.raises(ValueError, match="alphabet"):
        split(bytes(32), 2, 3, ("ml", "bbbb"), bytes(33))
