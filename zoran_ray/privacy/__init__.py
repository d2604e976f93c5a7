"""Personal data and secrets: found with validation, masked reversibly, put back in texts and streams.

`Scanner` finds, `Masker` replaces by placeholders, `unmask` and `StreamUnmasker` put back what a `Vault`
or one request's own table knows. Names and addresses are found only by a plug-in (`EntityFinder`). Knows
neither HTTP nor Ray.
"""

from zoran_ray.privacy.finding import KINDS, Finding, Kind
from zoran_ray.privacy.json_text import readable
from zoran_ray.privacy.keys import KEY_FILE, Keys
from zoran_ray.privacy.masker import Masked, Masker
from zoran_ray.privacy.placeholder import FORM
from zoran_ray.privacy.plugin import EntityFinder
from zoran_ray.privacy.policy import Action, choose_action, refuse_findings
from zoran_ray.privacy.profiles import Profile, Profiles, prepare_privacy, vault_folder
from zoran_ray.privacy.scanner import REGIONS, Scanner
from zoran_ray.privacy.unmasker import Lookup, StreamUnmasker, as_is, in_json, unmask
from zoran_ray.privacy.vault import VAULT_FILE, Vault, keys_in

__all__ = [
    "FORM",
    "KEY_FILE",
    "KINDS",
    "REGIONS",
    "VAULT_FILE",
    "Action",
    "EntityFinder",
    "Finding",
    "Keys",
    "Kind",
    "Lookup",
    "Masked",
    "Masker",
    "Profile",
    "Profiles",
    "Scanner",
    "StreamUnmasker",
    "Vault",
    "as_is",
    "choose_action",
    "in_json",
    "keys_in",
    "prepare_privacy",
    "readable",
    "refuse_findings",
    "unmask",
    "vault_folder",
]
