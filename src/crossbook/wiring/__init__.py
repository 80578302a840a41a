"""How the parts of a venue are chosen and put together, for `crossbook.bootstrap`: one module per kind of part."""
