"""What users of the venue can do: one module per noun, one function per use case."""
