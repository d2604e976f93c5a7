"""`python -m zoran_ray.cli`: the same as `zoran`."""

from zoran_ray.cli import main

main()
