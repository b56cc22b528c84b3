from typing import Any

import numpy as np
import pytest
from nvflare.apis.dxo import DXO
from nvflare.apis.fl_constant import ReturnCode
from nvflare.apis.shareable import Shareable, make_reply

from ecg_flare.errors import SecureSumError
from ecg_flare.flare.summation.masked.messages import (
    MASKED_UPDATE,
    SECURE_SUM,
    pack_bytes,
    pack_masked,
    unpack_bytes,
    unpack_masked,
)
from ecg_flare.privacy.secure_sum.messages import MaskedUpdate


def test_messages_come_back() -> None:
    assert unpack_bytes(pack_bytes(b"abc")) == b"abc"
    back = unpack_masked(pack_masked(MaskedUpdate(b"c" * 32, 2, np.array([1, 2**32 - 1], np.uint32))))
    assert (back.context, back.sender, back.vector.tolist()) == (b"c" * 32, 2, [1, 2**32 - 1])


@pytest.mark.parametrize(
    "message",
    [
        Shareable(),
        make_reply(ReturnCode.EXECUTION_EXCEPTION),
        DXO("OTHER", data={"message": b"a"}).to_shareable(),
        DXO(SECURE_SUM, data={"message": "text"}).to_shareable(),
        DXO(MASKED_UPDATE, data={"vector": [1]}, meta={"context": b"c", "sender": 1}).to_shareable(),
        DXO(MASKED_UPDATE, data={"vector": np.zeros(1, np.uint32)}).to_shareable(),
    ],
)
@pytest.mark.parametrize("unpack", [unpack_bytes, unpack_masked])
def test_anything_else_is_a_broken_secure_sum(unpack: Any, message: Shareable) -> None:
    with pytest.raises(SecureSumError):
        unpack(message)
