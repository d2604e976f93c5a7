"""Ray shells of the domain classes: mailbox, placement, supervision."""

HOUSE = "zoran_ray"  # Lets `zoran_ray.runtime` tell this package from a user's own `actors`.
