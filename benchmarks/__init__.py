"""What the matching engine costs, measured: `python -m benchmarks` from the root of the checkout.

Nothing here is asserted; the table is printed with the conditions under which it was measured.
"""
