"""The addresses of sharing over a store in memory and the small world's door."""

from pathlib import Path

from medlock.identity.factors.password import Hashing
from medlock.identity.slots import Slots
from medlock.oauth.people import KnownPeople
from medlock.rights.services import Rights, Secrets
from medlock.settings import Settings
from medlock.web.protection import UNPROTECTED
from medlock.web.sharing.api import Entrance, SharingApi
from smart.world import World as SmartWorld
from web.small_world import SmallDoor, SmallGate, SmallWatch


def small_sharing():
    """Everything that is mounted for it."""
    world = SmartWorld()
    secrets = Secrets(Hashing(Slots(), bytes(32)), bytes(32))
    rights = Rights(Settings(Path("none")), SmallDoor(), world.desk, secrets, KnownPeople())
    return SharingApi(rights, Entrance(SmallGate(), None, SmallWatch(), UNPROTECTED)).mounted()
