"""What the encoder reads at once: token ids, and where each token stands in the text."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True, slots=True, eq=False)
class Window:
    """Token ids with special tokens, int32 [t].

    `second` is where the second sequence begins (its first token), 0 where there is one only. `offsets`, int32
    [t, 2], are the code points of the text that each token stands for, and `words`, int32 [t], its word; both are -1
    for special tokens and for tokens of the question. They are there only where an answer is made of tokens.
    """

    ids: np.ndarray
    second: int = 0
    offsets: np.ndarray | None = None
    words: np.ndarray | None = None

    def __len__(self) -> int:
        return len(self.ids)
