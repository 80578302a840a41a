"""Where the published test vectors of wallets are, when they are there."""

from pathlib import Path

import pytest

VECTORS = Path(__file__).parents[3] / "shared" / "vectors"
REFERENCE = VECTORS / "cn_signature_vectors.txt"
WALLETS = VECTORS / "wallet_sign_vectors.json"

needs_reference = pytest.mark.skipif(not REFERENCE.exists(), reason="the reference vectors are not at ../shared")
needs_wallets = pytest.mark.skipif(not WALLETS.exists(), reason="the wallet vectors are not at ../shared")
