"""What survives between turns: the KV of the last conversation's prefix, and the vectors of its pictures.

Knows: names made from content, longest common prefixes, a bound in bytes.
Does not know: how prompts are rendered or KV is computed. Nothing here outlives the process or touches disk.

The invariant everything rests on: `PrefixCache.keys[i]` names what position i of the KV was computed from.
A text token is named by its id, the k-th token of a picture by the picture's content, its grid and k: a
different picture of the same size is a different key, and stale work is never reused.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Hashable, Sequence

import mlx.core as mx

from mlx_backend.glm import kv

Key = Hashable


class PrefixCache:
    """The KV of one token sequence and the names of its positions."""

    def __init__(self, make: Callable[[], Sequence[kv.Cache]]) -> None:
        self._make = make
        self.kv = make()
        self.keys: list[Key] = []

    @property
    def bits(self) -> int | None:
        """That keys and values lie in; None: plain."""
        return kv.bits(self.kv[0])

    @property
    def nbytes(self) -> int:
        """Of keys and values, with the room they have to grow into."""
        return sum(layer.nbytes for layer in self.kv if layer.offset)

    def room(self, length: int) -> int:
        """Positions that keys and values take memory for once they are cut back to `length`."""
        held = kv.room(self.kv[0])
        return 0 if length == 0 else kv.cut_room(held, length)

    def shared(self, keys: Sequence[Key]) -> int:
        """Tokens of the longest prefix shared with `keys`.

        At most len(keys) - 1: the last token is always computed, for its logits.
        """
        shared = 0
        for mine, asked in zip(self.keys, keys[:-1], strict=False):
            if mine != asked:
                break
            shared += 1
        return shared

    def reuse(self, keys: Sequence[Key]) -> int:
        """Cut back to the longest prefix shared with `keys` and return its length."""
        shared = self.shared(keys)
        self._cut(shared)
        return shared

    def extend(self, keys: Sequence[Key]) -> None:
        """Name what was just appended to the KV."""
        self.keys.extend(keys)

    def clear(self) -> None:
        """Forget everything and give the memory back."""
        self._cut(0)

    def _cut(self, length: int) -> None:
        if length == 0:
            self.kv = self._make()
        else:
            for layer in self.kv:
                # An interrupted step may have left positions without a name: they go too.
                layer.trim(layer.offset - length)
                kv.shrink(layer)
        del self.keys[length:]


class FeatureCache:
    """Vectors of pictures by content, the least recently used dropped beyond `limit` bytes."""

    def __init__(self, limit: int) -> None:
        self.limit = limit
        self._entries: OrderedDict[Key, mx.array] = OrderedDict()

    @property
    def nbytes(self) -> int:
        return sum(vectors.nbytes for vectors in self._entries.values())

    def __contains__(self, key: Key) -> bool:
        return key in self._entries

    def get(self, key: Key) -> mx.array | None:
        if key in self._entries:
            self._entries.move_to_end(key)
        return self._entries.get(key)

    def put(self, key: Key, vectors: mx.array) -> None:
        self._entries[key] = vectors
        self._entries.move_to_end(key)
        while self.nbytes > self.limit:
            self._entries.popitem(last=False)
