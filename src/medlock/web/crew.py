"""Several workers on one listening socket, and the process that watches them. It holds no keys and sees no request.

A start and a reload are the same thing: a new set of workers is started, and takes over when all of it accepts; then
the set before it is asked to leave. Both sets accept on one socket meanwhile, so no connection is refused, and those
who leave answer what they have begun. A reload that fails changes nothing.

A worker that dies is replaced, by and by (`backoff`). Deaths in a row are told, to the log and the service manager;
the others go on. When none accepts and ten in a row died before they did, the server ends, so that somebody looks.
"""

from __future__ import annotations

import multiprocessing
import socket
import time
from collections.abc import Callable
from multiprocessing.connection import Connection, wait

from medlock.clock import Clock
from medlock.errors import MedlockError, SetupError
from medlock.web.admin import administered
from medlock.web.backoff import Backoff
from medlock.web.bell import Bell
from medlock.web.counts import Board
from medlock.web.member import Member
from medlock.web.notify import Notifier
from medlock.web.oplog import OpLog, Told
from medlock.web.seat import Seat
from medlock.web.server import Serving

STILLBORN_MAX = 10
_GRACE_SECONDS = 5  # beyond the drain: the store is closed, the log is signed
_TURN_SECONDS = 0.5
_BORN_DEAD = "A worker ended before it could serve: see its message above."

Main = Callable[[Serving, socket.socket, Connection, Seat], None]


class Crew:
    """The workers of one server.

    main   what a worker process runs
    renew  what is served from now on, read anew; raises MedlockError
    """

    def __init__(
        self, serving: Serving, listener: socket.socket, main: Main, renew: Callable[[], Serving], notifier: Notifier
    ) -> None:
        self._serving = self._former = serving
        self._listener = listener
        self._main = main
        self._renew = renew
        self._notifier = notifier
        self._context = multiprocessing.get_context("spawn")
        admin = serving.settings.admin
        self.board = Board((lambda cells: self._context.RawArray("d", cells)) if admin else None)
        self._coming: list[Member] = []
        self._current: list[Member] = []
        self._leaving: list[Member] = []
        self._due: list[tuple[float, int]] = []
        self._backoff = Backoff()
        self._stillborn = 0
        self._bell = Bell()
        self._log = OpLog(Clock())

    def run(self, ready: Callable[[], None], *, reload: bool) -> None:
        """Serve until told to stop. Raises SetupError when it cannot start, or can no longer go on."""
        with administered(self._serving.settings.admin, self.board), self._bell.hung(reload=reload):
            try:
                self._come(self._serving)
                self._until_stopped(ready)
            finally:
                self._notifier.stopping()
                self._end()

    def _until_stopped(self, ready: Callable[[], None]) -> None:
        """Turn after turn."""
        told = False
        while not self._bell.stop:
            self._wait()
            self._bury()
            if self._coming and all(each.accepting for each in self._coming):
                self._take_over()
                if not told:
                    ready()
                    told = True
                self._notifier.ready()
            self._start_due()
            if self._bell.take_reload() and not self._coming:
                self._reload()

    def _come(self, serving: Serving) -> None:
        """Start a new set."""
        self._coming = [self._start(serving, number) for number in range(1, serving.settings.workers + 1)]

    def _start(self, serving: Serving, number: int) -> Member:
        return Member(self._context, self._main, (serving, self._listener), self.board.seat(number))

    def _let_go(self, member: Member) -> None:
        """It is gone."""
        self.board.fold(member.seat)
        member.close()

    def _wait(self) -> None:
        """Until something happens, or half a second."""
        everybody = [*self._coming, *self._current, *self._leaving]
        silent = [each.pipe for each in everybody if not each.accepting]
        wait([self._bell.fileno(), *silent, *(each.sentinel for each in everybody)], timeout=_TURN_SECONDS)
        self._bell.hush()
        for member in everybody:
            member.listen()
            member.enforce()
        accepting = sum(each.accepting for each in self._current)
        self.board.own.accepting(accepting)
        if accepting:
            self._stillborn = 0

    def _bury(self) -> None:
        """See to those who ended."""
        for member in [each for each in self._leaving if each.gone]:
            self._leaving.remove(member)
            self._let_go(member)
        for member in [each for each in self._current if each.gone]:
            self._current.remove(member)
            self._replace(member)
        if any(each.gone for each in self._coming):
            self._fail()

    def _replace(self, member: Member) -> None:
        """Put another in the place of one that died. Raises SetupError when that has become pointless."""
        if self._bell.stop:
            return
        self._log.notice(Told.WORKER_DIED, number=member.seat.number, code=member.code)
        self._stillborn += not member.accepting
        now = time.monotonic()
        pause = self._backoff.died(now)
        self.board.own.died()
        self._let_go(member)
        if self._stillborn >= STILLBORN_MAX and not any(each.accepting for each in self._current):
            raise SetupError("Workers keep dying: see the log for the faults they met.")
        if self._backoff.looping:
            self._log.notice(Told.CRASH_LOOP, deaths=self._backoff.deaths, pause=pause)
            self._notifier.status(f"{self._backoff.deaths} workers died in a row; the next starts in {pause:g} s.")
        self._due.append((now + pause, member.seat.number))

    def _start_due(self) -> None:
        """Start those whose pause is over."""
        now = time.monotonic()
        for entry in [each for each in self._due if each[0] <= now]:
            self._due.remove(entry)
            self._current.append(self._start(self._serving, entry[1]))

    def _reload(self) -> None:
        """Begin a new set with what settings and certificate are now."""
        self._notifier.reloading()
        try:
            self._serving, self._former = self._renew(), self._serving
        except MedlockError as fault:
            self._reload_failed(str(fault))
            return
        self._come(self._serving)

    def _take_over(self) -> None:
        """The new set accepts: the one before it leaves, and nobody waits to replace its dead."""
        reloaded = bool(self._current)
        for member in self._current:
            member.leave(self._patience)
        self._leaving += self._current
        self._current, self._coming, self._due = self._coming, [], []
        if reloaded:
            self._log.notice(Told.RELOADED, workers=len(self._current))
            self.board.own.reloaded(done=True)

    def _fail(self) -> None:
        """One of a new set died: the set goes, the one before it stays. Raises SetupError when there is none."""
        for member in self._coming:
            member.leave(0)
        self._leaving, self._coming = self._leaving + self._coming, []
        if not self._current and not self._due:
            raise SetupError(_BORN_DEAD)
        self._serving = self._former
        self._reload_failed(_BORN_DEAD)

    def _reload_failed(self, sentence: str) -> None:
        self._log.notice(Told.RELOAD_FAILED, text=sentence)
        self.board.own.reloaded(done=False)
        self._notifier.ready()

    @property
    def _patience(self) -> float:
        return self._serving.settings.drain_seconds + _GRACE_SECONDS

    def _end(self) -> None:
        """Ask all to finish, then make them."""
        everybody = [*self._coming, *self._current, *self._leaving]
        for member in everybody:
            member.leave(self._patience)
        for member in everybody:
            member.close()
