"""Which pages of the KV cache are free. Counts pages; knows nothing of what lies in them."""

import heapq

#: Never handed out: rows that only fill up a batch write here.
SCRATCH_PAGE = 0


class PagePool:
    """Hands out the lowest free pages first, so that the pages in use stay close together."""

    def __init__(self, num_pages: int, page_size: int) -> None:
        self.page_size = page_size
        self.num_usable = num_pages - 1
        self._free = list(range(SCRATCH_PAGE + 1, num_pages))

    @property
    def num_free(self) -> int:
        """Pages that nobody holds."""
        return len(self._free)

    def pages_for(self, num_tokens: int) -> int:
        """How many pages `num_tokens` tokens of one sequence take."""
        return -(-num_tokens // self.page_size)

    def take(self, num_pages: int) -> list[int]:
        """Hand out `num_pages` pages; the caller has made sure that they are there."""
        return [heapq.heappop(self._free) for _ in range(num_pages)]

    def give_back(self, pages: list[int]) -> None:
        """Free `pages` and empty the list."""
        for page in pages:
            heapq.heappush(self._free, page)
        pages.clear()
