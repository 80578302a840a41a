"""The Lethean dialect: a board of peer-to-peer swaps between wallets."""
