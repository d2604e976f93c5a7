import zoran_ray.access as access


def test_public_names():
    assert sorted(access.__all__) == [
        "Admission",
        "KeyRing",
        "KeyRow",
        "KeyStore",
        "LeaseCall",
        "Ledger",
        "Limits",
    ]
    assert all(hasattr(access, name) for name in access.__all__)
