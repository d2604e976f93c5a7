from zoran_ray.access.leases import Charge, Receipt, Refund
from zoran_ray.access.settlements import Settlements

HERE = Receipt("e", 1.0)


def test_adds_up_and_hands_over_once():
    pending = Settlements()
    for units in (1, 2):
        pending.add(Refund("k", "tokens", units, HERE))
        pending.add(Charge("k", "tokens", 10 * units, 100))
    assert len(pending) == 2
    assert pending.take() == (Refund("k", "tokens", 3, HERE), Charge("k", "tokens", 30, 100))
    assert pending.take() == ()


def test_refunds_of_different_moments_stay_apart():
    pending = Settlements()
    pending.add(Refund("k", "tokens", 1, HERE))
    pending.add(Refund("k", "tokens", 1, Receipt("e", 2.0)))
    assert len(pending.take()) == 2


def test_after_a_failed_call_only_charges_are_kept():
    pending = Settlements()
    pending.add(Refund("k", "tokens", 1, HERE))
    pending.add(Charge("k", "tokens", 5, 100))
    pending.keep(pending.take())
    assert pending.take() == (Charge("k", "tokens", 5, 100),)
