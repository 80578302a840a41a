"""How many wallet signatures one core checks in a second, as a login does it: address, both formats."""

from typing import Final

from benchmarks.measuring import Settings, median_ns
from benchmarks.report import Row
from crossbook.security.wallet_addresses import parse_address
from crossbook.security.wallet_keys import WalletKeys
from crossbook.security.wallet_signatures import SignatureFormat, verify_message

FULL_LOGINS: Final = 2_000
AT_LEAST: Final = 2_000


def signatures(settings: Settings) -> list[Row]:
    """A row for each format; the second format is tried after the first, so it costs two checks."""
    return [_row(format, settings.size(FULL_LOGINS)) for format in SignatureFormat]


def _row(format: SignatureFormat, logins: int) -> Row:
    keys = WalletKeys.of_seed(b"a wallet of the benchmark")
    address = keys.address().text
    signed = [(message, keys.sign(message, format)) for message in (str(number).encode() for number in range(logins))]

    def check_all(_: None) -> None:
        for message, signature in signed:
            if verify_message(message, parse_address(address).spend_key, signature) is not format:
                raise AssertionError("a signature of our own is not valid")

    elapsed_ns = median_ns(lambda: None, check_all)
    rate = logins * 1_000_000_000 / elapsed_ns
    remarks = f"{elapsed_ns / logins / 1000:.0f} us each, the address read each time"
    return Row(f"wallet logins checked, {format.value}", rate, "/s", AT_LEAST, None, True, remarks)
