"""A server that lies: it runs the honest steps without any check and keeps all that it was sent."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence

import numpy as np
from secure_sum_world import World, signed

from ecg_flare.errors import EcgFlareError
from ecg_flare.privacy.secure_sum import keys, masking, shares
from ecg_flare.privacy.secure_sum.masking import Mask
from ecg_flare.privacy.secure_sum.messages import (
    KeyAdvert,
    KeyRoster,
    Offer,
    PeerShares,
    SealedShares,
    ShareRelease,
    Survivors,
    UnmaskRequest,
)

VICTIM = 1


def refused(attack: Callable[[], bool]) -> Callable[[], bool]:
    """An attack that a site's or the server's refusal ends has failed."""

    def outcome() -> bool:
        try:
            return attack()
        except EcgFlareError:
            return False

    outcome.__name__ = attack.__name__
    outcome.__doc__ = attack.__doc__
    return outcome


class LyingServer:
    """Runs the honest steps without any check, keeps all it was sent, and lets the attack lie in between."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.ctx = world.terms.digest
        self.clients = {index: site.client() for index, site in enumerate(world.sites, start=1)}
        self.adverts: dict[int, KeyAdvert] = {}
        self.sealed_shares: dict[int, SealedShares] = {}
        self.masked: dict[int, np.ndarray] = {}

    def collect_masked(self) -> None:
        """Steps 0 to 2 with every site, honestly."""
        for index, client in self.clients.items():
            self.adverts[index] = client.answer_offer(Offer(self.world.terms))
        roster = KeyRoster(self.ctx, tuple(self.adverts.values()))
        for index, client in self.clients.items():
            self.sealed_shares[index] = client.answer_keys(roster)
        for index, client in self.clients.items():
            update = client.answer_sealed_shares(
                self.sealed_shares_for(index), self.world.vector(index), trained_from=self.world.terms.model_sha256
            )
            self.masked[index] = update.vector

    def sealed_shares_for(self, recipient: int) -> PeerShares:
        found = (
            (index, dict(sealed_shares.sealed_shares)[recipient])
            for index, sealed_shares in self.sealed_shares.items()
            if index != recipient
        )
        return PeerShares(self.ctx, recipient, tuple(found))

    def consents(self, lists: Mapping[int, Sequence[int]]) -> dict[int, bytes]:
        """Ask each site of `lists` to sign its own list of survivors."""
        return {
            index: self.clients[index].answer_survivors(Survivors(self.ctx, tuple(listed))).signature
            for index, listed in lists.items()
        }

    def releases(self, requests: Mapping[int, Mapping[int, bytes]]) -> list[ShareRelease]:
        """Send each site of `requests` the consents given for it."""
        return [
            self.clients[index].answer_unmask(UnmaskRequest(self.ctx, tuple(sorted(given.items()))))
            for index, given in requests.items()
        ]

    def recover_group(self, group: Iterable[int], releases: Sequence[ShareRelease]) -> np.ndarray | None:
        """The sum over `group` alone, if the released shares suffice for it."""
        group, everyone = sorted(group), sorted(self.masked)
        total = np.sum([self.masked[index] for index in group], axis=0, dtype=self.world.terms.word)
        masks = []
        for index in group:
            seed = self.secret({r.sender: dict(r.seed_shares).get(index) for r in releases})
            if seed is None:
                return None
            masks.append(Mask(keys.self_mask_key(seed, self.ctx, index), -1))
        for other in set(everyone) - set(group):
            private = self.secret({r.sender: dict(r.key_shares).get(other) for r in releases})
            if private is None:
                return None
            masks += self.pair_masks(private, other, group)
        masking.add_masks(total, masks)
        return signed(total)

    def pair_masks(self, private: bytes, owner: int, others: Iterable[int]) -> list[Mask]:
        """What takes out of the updates of `others` the masks that they share with `owner`."""
        return [
            Mask(
                keys.pair_mask_key(private, self.adverts[index].mask_public, self.ctx, index, owner),
                -masking.pair_sign(index, owner),
            )
            for index in others
        ]

    def recover_victim(self, seed: bytes, private: bytes) -> np.ndarray:
        """The victim's update, from both its secrets."""
        found = self.masked[VICTIM].copy()
        masks = [Mask(keys.self_mask_key(seed, self.ctx, VICTIM), -1)]
        for peer in self.masked:
            if peer != VICTIM:
                key = keys.pair_mask_key(private, self.adverts[peer].mask_public, self.ctx, VICTIM, peer)
                masks.append(Mask(key, -masking.pair_sign(VICTIM, peer)))
        masking.add_masks(found, masks)
        return signed(found)

    def secret(self, found: Mapping[int, bytes | None]) -> bytes | None:
        """What the shares combine to, if there are enough of them."""
        given = {sender: share for sender, share in found.items() if share is not None}
        if len(given) < self.world.terms.threshold:
            return None
        return shares.combine(given, self.world.terms.threshold, lambda _: True)
