"""The Flux dialect: perpetual futures over JSON, at the root of the address."""
