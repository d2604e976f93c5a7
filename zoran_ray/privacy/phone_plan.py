"""Numbering plans out of `phonenumbers`' metadata, compiled once. Knows nothing of text around a number.

The library's own matcher parses every candidate anew, which takes tens of microseconds each, and minutes on
a text full of digits. Its verdict "valid" is that a national number matches one of the region's patterns;
these are the same patterns, asked directly. A test holds the two together.
"""

import re
from functools import lru_cache

from phonenumbers import COUNTRY_CODE_TO_REGION_CODE, SUPPORTED_REGIONS, NumberFormat, PhoneMetadata

from zoran_ray.errors import ConfigError

_TYPES = (
    "fixed_line",
    "mobile",
    "toll_free",
    "premium_rate",
    "shared_cost",
    "personal_number",
    "voip",
    "pager",
    "uan",
    "voicemail",
)
_NEVER = re.compile(r"(?!)")


class Plan:
    """The numbers of one region.

    Attributes:
        prefix: What is dialled before a national number, `0` in most countries; empty where nothing is.
        required: Whether a national number is written with it.
        begins: Pattern of how a number as it is written in the region begins, digits only.
    """

    def __init__(self, metadata: PhoneMetadata) -> None:
        descriptions = (getattr(metadata, name) for name in _TYPES)
        patterns = [f"(?:{each.national_number_pattern})" for each in descriptions if _has_numbers(each)]
        valid = "|".join(patterns) or _NEVER.pattern
        self._valid = re.compile(valid, re.ASCII)
        self._formats = tuple(map(_compiled, metadata.number_format))
        self.prefix = metadata.national_prefix or ""
        self.required = self.prefix == "0"
        self.begins = f"{self.prefix}{'' if self.required else '?'}(?:{valid})" if self.prefix else valid

    def holds(self, national: str) -> bool:
        """Whether this is a number of the region, given without prefix."""
        return self._valid.fullmatch(national) is not None

    def bounds(self, national: str) -> frozenset[int]:
        """After how many digits the usual way of writing the number leaves a gap."""
        for leading, pattern in self._formats:
            match = pattern.fullmatch(national) if leading.match(national) else None
            if match:
                return frozenset(match.end(group) for group in range(1, (pattern.groups or 0)))
        return frozenset()


def _has_numbers(description: object) -> bool:
    return bool(getattr(description, "national_number_pattern", None))


def _compiled(form: NumberFormat) -> tuple[re.Pattern[str], re.Pattern[str]]:
    # Each leading pattern is a finer version of the one before it.
    leading = form.leading_digits_pattern[-1] if form.leading_digits_pattern else ""
    return re.compile(leading), re.compile(form.pattern or _NEVER.pattern)


@lru_cache(maxsize=512)
def plan_of(region: str) -> Plan:
    """The plan of a region such as `FR`. Raises: ConfigError: There is none."""
    metadata = PhoneMetadata.metadata_for_region(region, None) if region in SUPPORTED_REGIONS else None
    if metadata is None:
        raise ConfigError(
            f"No region {region[:16]!r} is known for phone numbers: use codes such as FR or US."
        )
    return Plan(metadata)


@lru_cache(maxsize=1024)
def plans_for(code: int) -> tuple[Plan, ...]:
    """Plans of all regions with a country calling code, 33 for `+33`; none where nobody has it."""
    found = []
    for region in COUNTRY_CODE_TO_REGION_CODE.get(code, ()):
        if region == "001":
            metadata = PhoneMetadata.metadata_for_nongeo_region(code, None)
            found += [Plan(metadata)] if metadata else []
        else:
            found.append(plan_of(region))
    return tuple(found)
