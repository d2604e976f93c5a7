"""Checks of what we keep and what we serve: state directory, keys, models, keys of providers."""

import os
import stat
import time
from pathlib import Path

from zoran_ray.access import KeyStore
from zoran_ray.doctor.check import Check, Subject
from zoran_ray.engines.providers.build import key_of
from zoran_ray.engines.static import is_static
from zoran_ray.errors import ConfigError, ZoranError
from zoran_ray.models_file import ModelSpec
from zoran_ray.pocket import MODEL_DIR


def state_dir(subject: Subject) -> Check:
    """The state directory is ours and closed to others."""
    path = subject.settings.state_dir
    name = "state directory"
    if not path.exists():
        parent = next(each for each in path.parents if each.exists())
        if os.access(parent, os.W_OK | os.X_OK):
            return Check(name, "ok", f"{path} will be made")
        return Check(
            name,
            "fail",
            f"{path} cannot be made: {parent} is not writable",
            "Choose another with --state-dir.",
        )
    if not path.is_dir() or not os.access(path, os.R_OK | os.W_OK | os.X_OK):
        return Check(
            name,
            "fail",
            f"{path} is no folder we can write",
            "Mend its permissions, or choose another with --state-dir.",
        )
    if (mode := stat.S_IMODE(path.stat().st_mode)) & 0o077:
        return Check(
            name, "fail", f"{path} is open to other users (mode {mode:03o})", f"Run: chmod 700 {path}"
        )
    return Check(name, "ok", str(path))


def keys(subject: Subject) -> Check:
    """The key store is sound and private, and there is a key where one is needed."""
    path = subject.settings.state_dir / "keys.sqlite"
    try:
        live = sum(row.state == "live" for row in KeyStore(path, time.time).list())
    except ZoranError as error:
        return Check("keys", "fail", error.message)
    if not live and not subject.settings.server.loopback:
        return Check(
            "keys",
            "fail",
            f"none, but {subject.settings.server.host} can be reached from other machines",
            "Make one: zoran keys create NAME.",
        )
    return Check("keys", "ok", f"{live} valid" if live else "none; on loopback none is needed")


def models(subject: Subject) -> Check:
    """Local models are there and readable."""
    troubles = [trouble for spec in subject.models if (trouble := _trouble(spec))]
    if troubles:
        return Check(
            "models",
            "fail",
            "; ".join(troubles),
            "Give the folder with config.json and the weights, or a hub id.",
        )
    found = ", ".join(_told(spec) for spec in subject.models)
    return Check("models", "ok", found or "none; nothing is loaded here")


def arms(subject: Subject) -> Check:
    """The providers' keys are where the models file says. Nobody is asked."""
    lacking: dict[str, list[str]] = {}
    for spec in subject.arms:
        try:
            key_of(spec, subject.env)
        except ConfigError as error:
            lacking.setdefault(error.message, []).append(spec.name)
    if lacking:
        found = "; ".join(f"{', '.join(names)}: {message}" for message, names in lacking.items())
        return Check("arms", "warn", found, "The others are served; `zoran models` asks them.")
    return Check("arms", "ok", ", ".join(spec.name for spec in subject.arms) or "none")


def _trouble(spec: ModelSpec) -> str:
    """What is wrong with a model's files; empty if nothing is, or if they are still to be fetched."""
    folder = MODEL_DIR if spec.source == "embedded" else Path(spec.source)
    if not folder.is_absolute():
        return ""
    if not folder.exists():
        return f"{spec.name}: {folder} does not exist"
    files = [folder / "config.json", *folder.glob("*.safetensors")] if folder.is_dir() else [folder]
    unreadable = [str(file) for file in files if not os.access(file, os.R_OK)]
    return f"{spec.name}: cannot read {', '.join(unreadable)}" if unreadable else ""


def _told(spec: ModelSpec) -> str:
    if is_static(spec):
        return f"{spec.name} (served by {spec.source})"
    fetched = spec.source != "embedded" and not Path(spec.source).is_absolute()
    return f"{spec.name} (from the hub, at first use)" if fetched else spec.name
