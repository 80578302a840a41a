"""Challenges: ours are known without having been kept, for one address and alias, and for five minutes."""

from uuid import UUID

from crossbook.security.login_challenges import VALID_MS, Challenges, Standing

NOW = 1_700_000_000_000


def test_a_challenge_is_ours_for_its_address_and_alias_only() -> None:
    ours, text = Challenges("s" * 40), Challenges("s" * 40).make("address", "alias", NOW)
    assert str(UUID(text)) == text
    assert ours.standing(text, "address", "alias", NOW) is Standing.VALID
    others = [
        ours.standing(text, "addres", "salias", NOW),
        ours.standing(text, "address", "other", NOW),
        Challenges("t" * 40).standing(text, "address", "alias", NOW),
        ours.standing(str(UUID(int=UUID(text).int ^ 1)), "address", "alias", NOW),
        ours.standing("hello", "address", "alias", NOW),
        ours.standing("", "address", "alias", NOW),
    ]
    assert set(others) == {Standing.FOREIGN}


def test_a_challenge_is_good_for_five_minutes_and_known_afterwards() -> None:
    ours = Challenges("s" * 40)
    text = ours.make("address", "alias", NOW)
    assert ours.standing(text, "address", "alias", NOW + VALID_MS - 1) is Standing.VALID
    assert ours.standing(text, "address", "alias", NOW + VALID_MS) is Standing.EXPIRED
    assert ours.make("address", "alias", NOW) != ours.make("address", "alias", NOW)
