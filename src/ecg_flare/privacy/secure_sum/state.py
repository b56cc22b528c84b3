"""What a site holds in the course of one round, and its bytes for when the process is swapped out.

The bytes contain every secret of the round: whoever stores them uses mode 0600 and removes them at the round's end,
after an abort too.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from ecg_flare.errors import SecureSumError
from ecg_flare.privacy.secure_sum import keys
from ecg_flare.privacy.secure_sum.context import SumContext
from ecg_flare.privacy.secure_sum.memory import Step
from ecg_flare.privacy.secure_sum.messages import KeyAdvert, KeyRoster, Survivors
from ecg_flare.privacy.secure_sum.wire import Reader, Writer


@dataclass
class ClientState:
    """One site's round: terms, index, next step, secrets, and the sets U1 (`roster`), U2 (`peers`), U3 (`survivors`).

    `held` maps a peer's index to the shares of its seed and of its mask key, one after the other.
    """

    terms: SumContext
    index: int
    next_step: Step
    advert: KeyAdvert
    sealing_private: bytearray
    mask_private: bytearray
    seed: bytearray
    roster: KeyRoster | None = None
    peers: tuple[int, ...] = ()
    survivors: tuple[int, ...] = ()
    held: dict[int, bytearray] = field(default_factory=dict)

    def wipe_keys(self) -> None:
        """Overwrite the site's own secrets: after its masked update only its peers' shares are needed."""
        for secret in (self.sealing_private, self.mask_private, self.seed):
            keys.wipe(secret)

    def wipe(self) -> None:
        """Overwrite everything secret."""
        self.wipe_keys()
        for shares in self.held.values():
            keys.wipe(shares)
        self.held.clear()

    def to_bytes(self) -> bytes:
        """All of it, secrets included."""
        writer = Writer().blob(self.terms.to_bytes()).integer(self.index, 2).integer(self.next_step, 1)
        writer.blob(self.advert.to_bytes())
        writer.fixed(self.sealing_private).fixed(self.mask_private).fixed(self.seed)
        writer.blob(b"" if self.roster is None else self.roster.to_bytes())
        for indices in (self.peers, self.survivors):
            writer.blob(Survivors(self.terms.digest, indices).to_bytes())
        writer.integer(len(self.held), 2)
        for index, shares in self.held.items():
            writer.integer(index, 2).blob(shares)
        return writer.done()

    @classmethod
    def from_bytes(cls, data: bytes) -> ClientState:
        """Inverse of `to_bytes`; `SecureSumError` when cut or overlong."""
        reader = Reader(data)
        terms = SumContext.from_bytes(reader.blob())
        index, step = reader.integer(2), reader.integer(1)
        if step > max(Step):
            raise SecureSumError(f"the state's next step is {step}, expected at most {max(Step)}: it is corrupt")
        advert = KeyAdvert.from_bytes(reader.blob())
        sealing_private, mask_private, seed = (bytearray(reader.fixed(keys.KEY_BYTES)) for _ in range(3))
        roster = reader.blob()
        peers, survivors = (Survivors.from_bytes(reader.blob()).indices for _ in range(2))
        held = {reader.integer(2): bytearray(reader.blob()) for _ in range(reader.integer(2))}
        reader.finish()
        return cls(
            terms,
            index,
            Step(step),
            advert,
            sealing_private,
            mask_private,
            seed,
            KeyRoster.from_bytes(roster) if roster else None,
            peers,
            survivors,
            held,
        )
