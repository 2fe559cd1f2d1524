"""Labels of what is written: by its codes at once; by its episode when all that is written together is known.

A note tells of everything in its episode, so it is as sensitive as the most sensitive resource that refers to the same
Encounter or EpisodeOfCare. When something sensitive joins an episode later, the notes that are there already are
labelled anew in the same commit. What only the index tells is enough for it: no body is opened but those that change.

A Binary is as sensitive as its security context, as that is when the Binary is written, and as what attaches it later.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from functools import cache
from typing import Any

import numpy as np

from medlock.access.consent.codes import LABELLED, labels_of
from medlock.access.labels.labelling import EPISODES, NOTES, called_for, missing, sealed
from medlock.fhir.extract import extract
from medlock.fhir.parse import parse_json
from medlock.fhir.query import Kind
from medlock.fhir.searchparams import parameters
from medlock.fhir.values import Values
from medlock.records.drafts import UPDATE, Draft
from medlock.records.indexing import TYPE_NAMES, TYPE_NUMBERS, whole_text
from medlock.records.ownership import security_context
from medlock.records.vault import Vault
from medlock.store.bodies import Opened
from medlock.store.capsule import IndexRow

_SECURITY = "_security"
_EPISODE_PARAMS = ("encounter", "context", "episode-of-care")
_NONE: frozenset[str] = frozenset()
_BINARY = "Binary"
_ADDRESS = re.compile(r"(?:.*/)?Binary/([A-Za-z0-9\-.]{1,64})(?:/_history/[^/]+)?")


def label(draft: Draft, resource: dict[str, object]) -> None:
    """Give a draft the labels that its own codes call for; what belongs to no patient is only marked as looked at."""
    values = draft.values or Values()
    draft.labels = sealed([f"{system}|{code}" for param, system, code in values.tokens if param == _SECURITY], ())
    add_labels(draft, called_for(resource) if draft.patients else _NONE)


def add_labels(draft: Draft, wanted: Iterable[str]) -> bool:
    """Add what is missing of these sensitivities, to body, index and sealed labels; whether anything was."""
    added = missing(draft.labels, wanted)
    _add(draft, added)
    return bool(added)


def _inherit(draft: Draft, labels: Iterable[str]) -> bool:
    """Add what a draft does not bear yet of these labels of another resource; whether anything was."""
    parts = [each.rpartition("|") for each in labels if each not in {*draft.labels, LABELLED}]
    _add(draft, [{"system": system, "code": code} for system, _, code in parts])
    return bool(parts)


def _add(draft: Draft, added: Sequence[Mapping[str, Any]]) -> None:
    """Add these labels to body, index and sealed labels."""
    draft.security += tuple(added)
    draft.labels = sealed(draft.labels, added)
    if draft.values is not None:
        draft.values.tokens += [(_SECURITY, each["system"], each["code"]) for each in added]


async def label_episodes(vault: Vault, drafts: Sequence[Draft]) -> list[Draft]:
    """Label the notes among the drafts by their episodes; the drafts of notes written before that change with them."""
    by_patient: dict[str, list[Draft]] = {}
    for draft in drafts:
        if draft.patients and draft.body:
            by_patient.setdefault(draft.patients[0], []).append(draft)
    further: list[Draft] = []
    for patient, own in by_patient.items():
        woken = await _label_record(vault, patient, own)
        for draft in own:
            if draft.type == _BINARY:
                await _label_content(vault, draft, own)
        further += [*woken, *await _label_attached(vault, patient, own, [*own, *woken])]
    return further


async def _label_content(vault: Vault, draft: Draft, beside: Sequence[Draft]) -> None:
    """A Binary bears what its security context bears, whose access rules it takes (R4 Binary.securityContext).

    And what it bore before: which document gave it that is not known here.
    """
    fresh = {f"{each.type}/{each.id}": each.labels for each in beside if each is not draft}
    for target in (*security_context(parse_json(draft.body)), f"{_BINARY}/{draft.id}"):
        labels = fresh.get(target)
        if labels is None:
            type_, _, id_ = target.partition("/")
            opened = await vault.current(type_, id_) if type_ in TYPE_NUMBERS else None
            labels = () if opened is None else opened.meta.labels
        _inherit(draft, labels)


async def _label_attached(vault: Vault, patient: str, own: Sequence[Draft], notes: Sequence[Draft]) -> list[Draft]:
    """Label the Binaries of a record that sensitive resources attach: drafts, and those that are there already."""
    drafts = {each.id: each for each in own if each.type == _BINARY}
    woken: dict[str, Draft] = {}
    for note in notes:
        attached = _attached(note) if note.type != _BINARY and _sensitive(note.labels) else ()
        for id_ in attached:
            draft = drafts.get(id_) or woken.get(id_) or await _content_of(vault, patient, id_)
            if draft is not None and _inherit(draft, note.labels) and id_ not in drafts:
                woken[id_] = draft
    return list(woken.values())


async def _content_of(vault: Vault, patient: str, id_: str) -> Draft | None:
    """A Binary of this record as it is, to be labelled; None for one that is not there, or not of it."""
    opened = await vault.current(_BINARY, id_)
    if opened is None or opened.meta.deleted or opened.meta.patients[:1] != (patient,):
        return None
    draft = as_draft(opened)
    draft.content = opened.content
    return draft


def _attached(draft: Draft) -> Iterable[str]:
    """Ids of the Binaries whose addresses stand in a resource as `url`."""
    waiting: list[Any] = [parse_json(draft.body)]
    found: dict[str, None] = {}
    while waiting:
        node = waiting.pop()
        if isinstance(node, dict):
            match = _ADDRESS.fullmatch(node["url"]) if isinstance(node.get("url"), str) else None
            found |= {match[1]: None} if match else {}
            waiting += node.values()
        elif isinstance(node, list):
            waiting += node
    return found


async def _label_record(vault: Vault, patient: str, drafts: list[Draft]) -> list[Draft]:
    """The same for the drafts of one record."""
    told: dict[str, frozenset[str]] = {}  # episode → sensitivities of what belongs to it
    for draft in drafts:
        if draft.type not in NOTES:
            for episode in _episodes(draft):
                told[episode] = told.get(episode, _NONE) | _sensitive(draft.labels)
    notes = [draft for draft in drafts if draft.type in NOTES and _episodes(draft)]
    waking = {episode for episode, found in told.items() if found}
    asked = waking | {episode for note in notes for episode in _episodes(note)}
    further = await _in_index(vault, patient, asked, waking, told) if asked else []
    for note in notes:
        add_labels(note, _NONE.union(*(told.get(each, _NONE) for each in _episodes(note))))
    known = {(draft.type, draft.id) for draft in drafts}
    woken = [as_draft(each) for each in further if (each.meta.type, each.meta.id) not in known]
    return [draft for draft in woken if add_labels(draft, _NONE.union(*(told.get(e, _NONE) for e in _episodes(draft))))]


async def _in_index(
    vault: Vault, patient: str, asked: set[str], waking: set[str], told: dict[str, frozenset[str]]
) -> list[Opened]:
    """What the record holds already of these episodes: adds to what is told; the notes of those that are `waking`."""
    slot = await vault.patient_slot(patient)
    if slot is None:
        return []
    notes: list[IndexRow] = []
    capsule = await vault.capsules.open(slot)
    for episode in sorted(asked):
        hashes = [vault.indexer.hash(whole_text(type_, param, episode)) for type_, param in _pointing()]
        own = vault.rid(episode)
        for segment in capsule.view():
            of_it = segment.alive & (segment.with_hashes(hashes) | (segment.rids == np.uint64(own)))
            for at in np.flatnonzero(of_it).tolist():
                rid, owner, tag, _, version, type_number, _, set_number = segment.row(at)
                if TYPE_NAMES[type_number] not in NOTES:
                    told[episode] = told.get(episode, _NONE) | _sensitive(segment.labels[set_number])
                elif episode in waking:
                    notes.append(IndexRow(rid, owner or slot, version, tag))
    return [each for each in await vault.fetch(notes) if each is not None]


def as_draft(opened: Opened) -> Draft:
    """The next version of a resource as it is."""
    meta = opened.meta
    values = extract(parse_json(opened.body))
    draft = Draft(meta.type, meta.id, UPDATE, opened.body, values, meta.patients, based_on=meta.version)
    draft.labels = sealed(meta.labels, ())
    return draft


def _episodes(draft: Draft) -> list[str]:
    """The episodes that a draft belongs to, itself if it is one."""
    values = draft.values or Values()
    found = dict.fromkeys(target for _, target in values.references if target.partition("/")[0] in EPISODES)
    return [*found, *([f"{draft.type}/{draft.id}"] if draft.type in EPISODES else [])]


def _sensitive(labels: tuple[str, ...]) -> frozenset[str]:
    found = labels_of(sealed(labels, ()))
    return _NONE if found is None else found.sensitivities


@cache
def _pointing() -> tuple[tuple[str, str], ...]:
    """The types and parameters through which a resource can belong to an episode."""
    return tuple(
        (type_, name)
        for type_ in TYPE_NUMBERS
        for name in _EPISODE_PARAMS
        if (known := parameters(type_).get(name)) is not None and known.kind is Kind.REFERENCE
    )
