"""Who signed an order: an SSH key, as for plans and journals, verified against a file of allowed signers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from runbook.errors import NotStartedError
from runbook.fleet.orders import Order, root_of, signed_text, tree_of

NAMESPACE = "runbook-fleet"  # a signature for anything else, as of a plan, is none of an order
LONGEST_SIGNATURE = 16 * 1024
MOST_KEPT = 64  # roots that were verified lately


def sealed(orders: Sequence[Order], key: str) -> list[dict[str, Any]]:
    """Each as it is sent, all under one signature by this key; under none where there is no key.

    Raises SettingsError where it does not sign, and StepError.
    """
    texts = [order.text for order in orders]
    if not key:
        return [{"order": text} for text in texts]
    from runbook.signatures import sign_text

    tree = tree_of(texts)
    signature = sign_text(signed_text(tree.root), key, NAMESPACE).decode()
    return [
        {"order": text, "path": list(path), "signature": signature}
        for text, path in zip(texts, tree.paths, strict=True)
    ]


class SealReader:
    """``signers`` is the file of those who may give orders; without one whoever reaches the broker may."""

    def __init__(self, signers: str) -> None:
        self._signers = signers
        self._kept: dict[tuple[str, str, bytes], tuple[str, ...]] = {}

    def read(self, message: Any) -> tuple[Order, str]:
        """The order, and who signed it; nobody where no signature is asked for.

        Raises NotStartedError where it is none, or is not signed by one of them; and as :func:`read_allowed_signers`.
        """
        if not isinstance(message, Mapping) or not isinstance(message.get("order"), str):
            raise NotStartedError("a message came that is no order; nothing was done")
        text = message["order"]
        if not self._signers:
            return Order.read(text), ""
        who = self._who(text, message.get("path"), message.get("signature"))
        return Order.read(text), who

    def _who(self, text: str, path: Any, signature: Any) -> str:
        from runbook.signatures import people_who_signed, read_allowed_signers

        if signature is None:
            raise NotStartedError(
                "the order is not signed, and this worker does none that is not; nothing was done",
                "Give --signing-key where it is sent",
            )
        root = root_of(text, path)
        if not root or not isinstance(signature, str) or len(signature) > LONGEST_SIGNATURE:
            raise NotStartedError("the signature of the order is none; nothing was done")
        allowed = read_allowed_signers(self._signers)
        key = (root, signature, allowed)
        if key not in self._kept:
            people = people_who_signed(signed_text(root), signature.encode(), allowed, NAMESPACE)
            if people is None:
                raise NotStartedError("the order was changed on its way: its key did not sign it; nothing was done")
            if not people:
                what = f"the order is signed by a key that {self._signers} does not know; nothing was done"
                raise NotStartedError(what)
            self._kept[key] = people
            for old in list(self._kept)[:-MOST_KEPT]:
                del self._kept[old]
        return ", ".join(self._kept[key])
