"""Our numbering plans against the library they come from."""

import phonenumbers
import pytest
from hypothesis import given
from hypothesis import strategies as st

from zoran_ray.privacy.phone_plan import plan_of, plans_for

REGIONS = ("FR", "US", "GB", "DE", "IT", "BE", "CH", "ES", "JP", "BR")


@pytest.mark.parametrize("region", sorted(phonenumbers.SUPPORTED_REGIONS))
def test_example_numbers_of_every_region_hold(region: str) -> None:
    example = phonenumbers.example_number(region)
    assert example is not None
    national = phonenumbers.national_significant_number(example)
    assert plan_of(region).holds(national)
    assert any(plan.holds(national) for plan in plans_for(example.country_code or 0))


@given(st.sampled_from(REGIONS), st.from_regex(r"[0-9]{4,12}", fullmatch=True))
def test_a_number_holds_where_the_library_calls_it_valid(region: str, national: str) -> None:
    number = phonenumbers.PhoneNumber(
        country_code=phonenumbers.country_code_for_region(region),
        national_number=int(national),
        italian_leading_zero=national.startswith("0") or None,
        number_of_leading_zeros=(len(national) - len(national.lstrip("0"))) or None,
    )
    expected = phonenumbers.is_valid_number_for_region(number, region)
    assert plan_of(region).holds(phonenumbers.national_significant_number(number)) == expected
