# The image that untrusted code runs in, for hosts where images are built from Dockerfiles. What is in it is decided
# by `zoran_ray.sandbox.image_files` alone, as with `zoran sandbox build`: this file only runs that code in our image
# and lays out what it wrote.
#
#   docker build -f cluster/docker/sandbox.Dockerfile --build-arg ZORAN_IMAGE=zoran:0.1.0-cpu -t zoran-sandbox-python .
#   docker image inspect --format '{{.Id}}' zoran-sandbox-python        # goes into sandbox.image of zoran.yaml
ARG ZORAN_IMAGE=zoran:0.1.0-cpu

# hadolint ignore=DL3006
FROM ${ZORAN_IMAGE} AS source
# The image's user may write in its home alone.
WORKDIR /home/zoran
COPY cluster/docker/sandbox_root.py .
RUN ["python", "sandbox_root.py", "/home/zoran/root"]

FROM scratch
COPY --from=source --chown=0:0 /home/zoran/root/ /
# The same as in `zoran_ray.sandbox.image_archive`; a test compares them.
ENV PATH=/usr/local/bin:/usr/bin:/bin \
    HOME=/work \
    LANG=C.UTF-8 \
    PYTHONDONTWRITEBYTECODE=1 \
    PYTHONUNBUFFERED=1
WORKDIR /work
USER 65534:65534
