"""The plain sum: each site sends its update to the server, which adds it up as it arrives."""

from typing import Final

from ecg_flare.federated.summation import Summation

SUMMATION: Final = Summation(
    name="plain",
    title="sum in the clear",
    collection="ecg_flare.flare.summation.plain.server.PlainCollection",
    server_sees="The server saw each site's update by itself: updates were not masked or encrypted.",
    update_bytes=4,
)
