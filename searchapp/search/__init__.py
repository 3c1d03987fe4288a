"""search: query in, hits out. `search.search_pages` is the entry, `stages/` the parts."""
