"""Ray Serve deployments: the gateway and the vLLM replica, and how they are composed."""

HOUSE = "zoran_ray"  # Lets `zoran_ray.runtime` tell this package from a user's own `serve_apps`.
