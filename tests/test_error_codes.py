from zoran_ray.error_codes import error_kind
from zoran_ray.errors import ModelNotFound, ZoranError


def test_a_code_leads_to_its_class() -> None:
    assert error_kind("model_not_found") is ModelNotFound
    assert error_kind("internal_error") is ZoranError


def test_a_foreign_code_leads_nowhere() -> None:
    assert error_kind("insufficient_quota") is None


def test_every_code_in_the_tree_is_found() -> None:
    def tree(kind: type[ZoranError]) -> list[type[ZoranError]]:
        return [kind, *(found for child in kind.__subclasses__() for found in tree(child))]

    for kind in tree(ZoranError):
        found = error_kind(kind.code)
        assert found is not None
        assert found.code == kind.code
