"""The actions of a parser of heads on a header line, as numbers: comparing these costs less than an enum's.

The program above `http1` chooses the action for each header name (`framing.HeaderNames`). KEPT lines pass,
OPTIONAL ones where the provider's `forward_headers` name them. In a request's head the values of the headers
from LENGTH to LABEL are kept by these numbers, and the lines of the last two pass as well; only CONNECTION,
ENCODED, UPGRADE and HARNESS may occur more than once.
"""

from __future__ import annotations

# fmt: off
(
    KEPT, DROPPED, LENGTH, CODING, CONNECTION, HOST, ORIGIN, EXPECT, BEARER, API_KEY, SESSION, ENCODED,
    UPGRADE, HARNESS, LABEL, ACCEPTS, RETRIES, OPTIONAL, TYPE, PACKED,
) = range(20)
# fmt: on
