"""What the keystore says of its own condition, for `medlock keys status`."""

from __future__ import annotations

from dataclasses import dataclass

from medlock.store.epochs import Epochs, EpochState, read_epochs
from medlock.store.generations import superseded
from medlock.store.kek.provider import Attestation
from medlock.store.keyfile import KeyFile
from medlock.store.keystate import KeyState

HORIZON_DAYS = 7  # how long a destroyed key may survive in copies of the keystore
DAY_MS = 86_400_000


@dataclass(frozen=True, slots=True)
class KeystoreStatus:
    """A moment's view.

    epoch              number of the current epoch
    epoch_age_seconds  since it was made
    keys               key rows, the tenant's and spare ones included
    spare              keys this process holds ready for new patients
    rotating           whether a ratchet is under way, or was killed and waits to be resumed
    remaining          key rows still under the old epoch
    attestation        what the provider says of itself
    breach_safe        the verdict
    reasons            sentences: why not, what weakens it, what to do
    superseded         patients' keys that a rotation has replaced and not yet destroyed
    """

    epoch: int
    epoch_age_seconds: int
    keys: int
    spare: int
    rotating: bool
    remaining: int
    attestation: Attestation
    breach_safe: bool
    reasons: tuple[str, ...]
    superseded: int = 0


def status_of(file: KeyFile, epochs: Epochs, state: KeyState, spare: int, now_ms: int) -> KeystoreStatus:
    """Gather the facts; reads the file and asks the provider."""
    table = read_epochs(file.read)
    current = next(epoch for epoch in table if epoch.state == EpochState.CURRENT)
    rotating = any(epoch.state != EpochState.CURRENT for epoch in table)
    left = file.read("SELECT count(*) FROM key WHERE epoch <> ?", current.number)[0][0] if rotating else 0
    attestation = epochs.provider.attest()
    age_ms = max(0, now_ms - current.made)
    replaced = len(superseded(file))
    concerns = _concerns(file, rotating, age_ms // DAY_MS) + _rotation(replaced)
    return KeystoreStatus(
        epoch=current.number,
        epoch_age_seconds=age_ms // 1000,
        keys=state.keys,
        spare=spare,
        rotating=rotating,
        remaining=left,
        attestation=attestation,
        breach_safe=attestation.breach_safe,
        reasons=(*attestation.reasons, *concerns),
        superseded=replaced,
    )


def _rotation(replaced: int) -> list[str]:
    if not replaced:
        return []
    text = (
        f"A rotation of patients' keys is under way or was interrupted: {replaced} former keys are not destroyed yet."
    )
    return [f"{text} If none runs, medlock keys rotate finishes it."]


def _concerns(file: KeyFile, rotating: bool, age_days: int) -> list[str]:
    concerns = []
    if rotating:
        concerns.append("A ratchet is under way or was interrupted: until it ends, the old epoch key lives on.")
    if age_days >= HORIZON_DAYS:
        concerns.append(
            f"The epoch is {age_days} days old: keys destroyed since then survive in copies of the keystore until "
            "the next ratchet."
        )
    if file.read("SELECT 1 FROM meta WHERE name = 'leaving'"):
        concerns.append(
            "The provider that guarded this keystore before still holds an epoch: older copies of the keystore "
            "open with it until it is retired."
        )
    return concerns
