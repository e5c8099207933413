"""What an answer cost and what the model was shown for it, as columns of `turns` and back.

Knows: which columns there are.
Does not know: who fills them, what the numbers mean.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

STATS = (
    "prompt_tokens", "cached_tokens", "reasoning_tokens", "output_tokens", "first_token_seconds",
    "prefill_rate", "decode_rate", "peak_bytes", "predicted_bytes",
)  # fmt: skip
SAW = "saw"  # a list of what was shown, kept as JSON
COLUMNS = (*STATS, SAW)


def columns(stats: Mapping[str, Any]) -> dict[str, Any]:
    """What the statistics say, by column."""
    found = {name: stats[name] for name in STATS if name in stats}
    return found | ({SAW: json.dumps(stats[SAW])} if stats.get(SAW) else {})


def stats(row: Mapping[str, Any]) -> dict[str, Any]:
    """What a row of `turns` says; what is not known is left out."""
    found = {name: row[name] for name in STATS if row[name] is not None}
    return found | ({SAW: json.loads(row[SAW])} if row[SAW] else {})
