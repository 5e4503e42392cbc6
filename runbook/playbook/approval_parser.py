"""The key ``approve:`` of a playbook, and of a cluster in an inventory: whose signatures a run needs. Light, as
``validate`` loads it.
"""

from __future__ import annotations

from runbook.playbook.approval_rule import DAY, ApprovalRule
from runbook.playbook.diagnostics import Diagnostics, quoted
from runbook.playbook.mapping import Keys, MappingReader
from runbook.playbook.model import Field
from runbook.playbook.yaml_tree import MapNode, Node, describe_node

APPROVAL_KEYS = Keys(
    Field("by", "path", "the file of allowed signers (ssh-keygen(1)), which only its owner may write", required=True),
    Field("count", "int", "how many people must sign", default=1, min=1, max=20),
    Field("not_self", "bool", "whether the signature of whoever runs it does not count", default=True),
    Field("within", "duration", "how old a signature may be", default=DAY, min=1.0, max=365 * DAY),
)


def read_approval_rule(node: Node | None, what: str, diagnostics: Diagnostics) -> ApprovalRule | None:
    """The rule at ``node``; None where there is none, or one that is wrong, which is reported. No file is opened."""
    if node is None:
        return None
    if not isinstance(node, MapNode):
        example = "Write approve: { by: /etc/runbook/allowed_signers, count: 2 }."
        diagnostics.add(node.mark, f"{what} must be a mapping, not {describe_node(node)}", example)
        return None
    mapping = MappingReader(node, what, APPROVAL_KEYS, diagnostics)
    values = {field.name: mapping.value(field.name) for field in APPROVAL_KEYS}
    if values["by"] is not None and not values["by"].startswith("/"):
        mapping.report("by", f"must be an absolute path, not {quoted(values['by'])}")
    return None if None in values.values() else ApprovalRule(**values)
