"""The encrypted sum: the server adds ciphertexts under CKKS, and two sites decrypt their sum."""

from typing import Final

from ecg_flare.federated.summation import SiteParts, Summation, SumStep

SUMMATION: Final = Summation(
    name="encrypted",
    title="homomorphic aggregation",
    collection="ecg_flare.flare.summation.encrypted.server.EncryptedCollection",
    server_sees="The server added encrypted updates and saw only the sum that the sites decrypted.",
    update_bytes=58,
    site=SiteParts(
        component_id="encrypted_sum",
        component="ecg_flare.flare.summation.encrypted.site.EncryptedSite",
        executor="ecg_flare.flare.summation.encrypted.site.EncryptedSumExecutor",
        steps=(
            SumStep("he_agree", "agree", "its consent to who is in the sum"),
            SumStep("he_decrypt", "decrypt", "the decrypted sum"),
        ),
        result_filter="ecg_flare.flare.summation.encrypted.site.EncryptUpdate",
    ),
    hides_updates=True,
    noise_before_recovery=True,
    shares_key=True,
    collusion="All sites share one secret key: the server and any site, working together, see every update.",
)
