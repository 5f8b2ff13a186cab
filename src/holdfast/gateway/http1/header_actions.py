"""What a parser of heads does with a line, as numbers. Whoever compiles the table of names decides which.

KEPT lines pass, OPTIONAL ones where the provider's `forward_headers` name them. Of a request's head those
from LENGTH to HARNESS may be written once, and their values are kept by these numbers.
"""

from __future__ import annotations

# fmt: off
(
    KEPT, DROPPED, LENGTH, CODING, CONNECTION, HOST, ORIGIN, EXPECT, BEARER, API_KEY, SESSION, HARNESS,
    ACCEPTS, RETRIES, OPTIONAL, TYPE, PACKED,
) = range(17)
# fmt: on
