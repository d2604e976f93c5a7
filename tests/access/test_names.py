import zoran_ray.access as access


def test_public_names():
    assert sorted(access.__all__) == [
        "Admission",
        "Budget",
        "EVERYBODY",
        "KeyRing",
        "KeyRow",
        "KeyStore",
        "LeaseCall",
        "Ledger",
        "Limits",
        "Reserve",
        "SPEND_FILE",
        "Settle",
        "SpendDesk",
        "SpendLedger",
        "Spent",
        "UNLIMITED",
        "nano_usd",
        "shown",
        "usd",
    ]
    assert all(hasattr(access, name) for name in access.__all__)
