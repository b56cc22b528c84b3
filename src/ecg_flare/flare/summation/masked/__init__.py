"""The masked sum: secure aggregation by masks that cancel in the sum (Bonawitz et al. 2017)."""

from typing import Final

from ecg_flare.federated.summation import SiteParts, Summation, SumStep

SUMMATION: Final = Summation(
    name="masked",
    title="secure aggregation",
    collection="ecg_flare.flare.summation.masked.server.MaskedCollection",
    server_sees="The server saw only the sum of masked updates, never one site's own.",
    update_bytes=4,
    site=SiteParts(
        component_id="secure_sum",
        component="ecg_flare.flare.summation.masked.site.SecureSumSite",
        executor="ecg_flare.flare.summation.masked.site.SecureSumExecutor",
        steps=(
            SumStep("sum_identify", "identify", "its certificate", before_training=True),
            SumStep("sum_keys", "keys", "its public keys of the round, signed", before_training=True),
            SumStep("sum_shares", "shares", "shares of its round secrets, sealed for each peer", before_training=True),
            SumStep("sum_consent", "consent", "its signed consent to who is in the sum"),
            SumStep("sum_unmask", "unmask", "shares that take the masks off the sum"),
        ),
        result_filter="ecg_flare.flare.summation.masked.site.MaskUpdate",
    ),
    hides_updates=True,
    hides_weights=True,
    narrow_words=True,
    signs_messages=True,
    collusion="The server and all sites but one, working together, still see the last one's update.",
)
