"""One turn of a schedule: every audit that is due is run, and what does not hold any more is taken back.

A release is where recipients fetch it (`out`) only while its last audit held. When one is blocked, and also when one
cannot be run at all (a file is gone, a column is new), what stands there is set aside as NAME.blocked, and comes back
with the next audit that holds. An audit that fails does not keep the others from being run.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from medlock.deid.audit.job import Done, Job, run_job
from medlock.deid.audit.schedule import Planned
from medlock.errors import MedlockError, SetupError


@dataclass(frozen=True)
class Looked:
    """What came of one audit. `error` says why it could not be run; `withdrawn`: a release was set aside."""

    name: str
    done: Done | None = None
    error: str = ""
    withdrawn: bool = False

    @property
    def held(self) -> bool:
        """Whether the release may be where it is."""
        return self.done is not None and not self.done.audit.blocked

    def plain(self) -> dict[str, Any]:
        """For programs."""
        risks = {} if self.done is None else self.done.document["audit"]["risks"]
        return {"name": self.name, "held": self.held, "risks": risks, "error": self.error, "withdrawn": self.withdrawn}


def turn(planned: Sequence[Planned], now: datetime) -> Iterator[Looked]:
    """Run what is due, one after another."""
    for each in planned:
        try:
            done = run_job(each.at(now)) if each.due(now) else None
        except MedlockError as error:
            yield Looked(each.name, error=str(error), withdrawn=_withdraw(each.job))
        else:
            if done is not None:
                yield Looked(each.name, done, withdrawn=done.audit.blocked and _withdraw(each.job))


def _withdraw(job: Job) -> bool:
    """Set aside what recipients could fetch. Raises SetupError when that cannot be done: somebody must."""
    if job.out is None or not job.out.exists():
        return False
    try:
        job.out.replace(job.out.with_name(job.out.name + ".blocked"))
    except OSError:
        raise SetupError(f"{job.out} must not be fetched any more and cannot be moved: take it away by hand.") from None
    return True
