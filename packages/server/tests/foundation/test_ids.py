"""Identities order by creation, so that keyset paging and indexes stay local."""

from orchestra.foundation import ids


def test_new_ids_are_version_7_and_do_not_repeat() -> None:
    made = [ids.new_id() for _ in range(1_000)]
    assert {value.version for value in made} == {7}
    assert len(set(made)) == len(made)


def test_an_id_begins_with_its_time() -> None:
    earlier, later = ids.new_id(), ids.new_id()
    assert earlier.int >> 80 <= later.int >> 80


def test_full_jitter_stays_under_its_ceiling() -> None:
    assert all(0 <= ids.full_jitter(2.0) <= 2.0 for _ in range(100))
