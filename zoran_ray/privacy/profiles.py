"""The profiles of a deployment, ready for use: a mode and a scanner for each. Reads no text itself."""

from collections.abc import Collection, Sequence
from pathlib import Path

from zoran_ray.errors import ConfigError
from zoran_ray.privacy.finding import KINDS
from zoran_ray.privacy.plugin import Chosen, EntityFinder, load_plugins
from zoran_ray.privacy.scanner import Scanner
from zoran_ray.privacy.vault import keys_in
from zoran_ray.settings import PrivacyMode, PrivacyProfile, PrivacySettings


class Profile:
    """One profile.

    Args:
        settings: What the configuration says of it.
        plugins: What finds names, addresses and the like.

    Attributes:
        mode: When texts are masked.
        scanner: What finds what is to be masked.

    Raises:
        ConfigError: A region is unknown.
    """

    def __init__(self, settings: PrivacyProfile, plugins: Sequence[EntityFinder]) -> None:
        self._regions = settings.phone_regions
        self._plugins = plugins
        self._kinds = (*settings.kinds, *(kind for plugin in plugins for kind in plugin.kinds))
        self.mode: PrivacyMode = settings.mode
        self.scanner = Scanner(settings.kinds, settings.phone_regions, plugins)

    def scanner_for(
        self, kinds: Collection[str] | None = None, regions: Collection[str] | None = None
    ) -> Scanner:
        """The profile's scanner, or one that looks for something else.

        Args:
            kinds: What to look for, plug-ins' kinds included; None means what the profile says.
            regions: Whose national phone numbers are recognised; None as above.

        Raises:
            ConfigError: A kind or a region is unknown.
        """
        if kinds is None and regions is None:
            return self.scanner
        wanted = self._kinds if kinds is None else kinds
        plugins = [Chosen(plugin, wanted) for plugin in self._plugins]
        own = set(wanted) - {kind for plugin in plugins for kind in plugin.kinds}
        return Scanner(
            own, self._regions if regions is None else regions, [each for each in plugins if each.kinds]
        )


class Profiles:
    """All profiles of a deployment.

    Attributes:
        kinds: Everything that any of them may find.

    Raises:
        ConfigError: A plug-in cannot be loaded, or a region is unknown.
    """

    def __init__(self, settings: PrivacySettings) -> None:
        plugins = load_plugins(settings.plugins)
        self._settings = settings
        self._profiles = {name: Profile(each, plugins) for name, each in settings.profiles.items()}
        self.kinds = frozenset((*KINDS, *(kind for plugin in plugins for kind in plugin.kinds)))

    def of(self, tenant: str, name: str | None = None) -> Profile:
        """The profile that holds for a tenant, or the one named.

        Raises:
            ConfigError: There is none of that name.
        """
        found = self._profiles.get(self._settings.profile_of(tenant) if name is None else name)
        if found is None:
            known = ", ".join(sorted(self._profiles))
            raise ConfigError(f"There is no privacy profile {(name or '')[:64]!r}; there are {known}.")
        return found


def vault_folder(state_dir: Path) -> Path:
    """Where a node keeps its vault and the key to it; each node has its own."""
    return state_dir / "privacy"


def prepare_privacy(settings: PrivacySettings, state_dir: Path) -> None:
    """Finds out before a server starts whether it could mask; makes the key where there is none.

    Raises:
        ConfigError: A plug-in, a region or the key is not right.
    """
    Profiles(settings)
    if any(profile.mode in ("remote", "always") for profile in settings.profiles.values()):
        keys_in(vault_folder(state_dir))
