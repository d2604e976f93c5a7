"""The chart, rendered by Helm: strictly right, closed networks, secrets by name, contradictions refused."""

import json
import os
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml

from zoran_ray.cluster_config import helm_values, read_profile
from zoran_ray.cluster_config.profile import profile_of

KUBERNETES = "1.33"
NOT_KUBERNETES = ("ray.io", "keda.sh", "monitoring.coreos.com")
KEDA = {
    "autoscaling": {"mode": "keda"},
    "gatewayNodes": {"min": 1, "max": 4, "inflight": 64},
    "secrets": {"rayToken": "zoran-ray-token", "metricsKey": "zoran-metrics-key"},
    "monitoring": {"enabled": True},
}
ALL_ON = {
    "autoscaling": {"mode": "ray"},
    "redis": {"enabled": True, "host": "redis.databases.svc", "port": 6379},
    "monitoring": {"enabled": True},
    "secrets": {
        "rayToken": "zoran-ray-token",
        "keys": "zoran-keys",
        "metricsKey": "zoran-metrics-key",
        "providers": "zoran-providers",
        "nodeTls": "zoran-node-tls",
    },
    "networkPolicy": {"egress": [{"ports": [{"protocol": "TCP", "port": 443}]}]},
}
NEW_CLUSTER = {
    "upgrade": {"strategy": "NewCluster"},
    "head": {"persistence": {"enabled": False}},
    "secrets": {"rayToken": "zoran-ray-token", "keys": "zoran-keys"},
}
EVERY = {"defaults": {}, "all": ALL_ON, "keda": KEDA, "new cluster": NEW_CLUSTER}

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning:kubernetes_validate")


def _kind(objects: list[dict[str, Any]], kind: str) -> list[dict[str, Any]]:
    return [each for each in objects if each["kind"] == kind]


def _templates(objects: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Every pod template, those inside a RayService too."""
    found = [each["spec"]["template"] for each in _kind(objects, "Deployment")]
    for service in _kind(objects, "RayService"):
        cluster = service["spec"]["rayClusterConfig"]
        found += [cluster["headGroupSpec"]["template"]]
        found += [group["template"] for group in cluster["workerGroupSpecs"]]
    return found


def _checked(value: dict[str, Any]) -> None:
    validate = pytest.importorskip(
        "kubernetes_validate", reason="MANIFESTS ARE NOT CHECKED: no kubernetes-validate"
    )
    validate.validate(value, KUBERNETES, strict=True)


@pytest.mark.parametrize("name", EVERY)
def test_what_is_kubernetes_own_is_strictly_right(helm: Any, name: str) -> None:
    for each in helm(EVERY[name]):
        if not each["apiVersion"].startswith(NOT_KUBERNETES):
            _checked(each)


@pytest.mark.parametrize("name", EVERY)
def test_pod_templates_are_strictly_right(helm: Any, name: str) -> None:
    for template in _templates(helm(EVERY[name])):
        _checked(
            {"apiVersion": "v1", "kind": "PodTemplate", "metadata": {"name": "each"}, "template": template}
        )


@pytest.mark.parametrize("name", EVERY)
def test_the_ray_service_has_kuberays_fields(helm: Any, name: str) -> None:
    schema = yaml.safe_load(Path(__file__).with_name("kuberay.schema.yaml").read_text())
    for each in _kind(helm(EVERY[name]), "RayService"):
        jsonschema.Draft202012Validator(schema).validate(each)
        _check_kubernetes_parts(each["spec"])


def test_unknown_fields_of_a_ray_service_are_found(helm: Any) -> None:
    schema = yaml.safe_load(Path(__file__).with_name("kuberay.schema.yaml").read_text())
    (service,) = _kind(helm({}), "RayService")
    service["spec"]["rayClusterConfig"]["autoscalerOptions"] = {"idleTimeout": 60}
    with pytest.raises(jsonschema.ValidationError, match="idleTimeout"):
        jsonschema.Draft202012Validator(schema).validate(service)


def _check_kubernetes_parts(spec: dict[str, Any]) -> None:
    """The Service, and the autoscaler's container: what KubeRay hands on to Kubernetes."""
    _checked({"apiVersion": "v1", "kind": "Service", **spec["serveService"]})
    options = spec["rayClusterConfig"].get("autoscalerOptions", {})
    own = {"version", "upscalingMode", "idleTimeoutSeconds"}
    container = {"name": "autoscaler", **{key: options[key] for key in options.keys() - own}}
    _checked(
        {
            "apiVersion": "v1",
            "kind": "Pod",
            "metadata": {"name": "each"},
            "spec": {"containers": [container]},
        }
    )


@pytest.mark.parametrize("name", EVERY)
def test_the_ray_service_is_what_kuberays_crd_takes(helm: Any, name: str) -> None:
    path = os.environ.get("ZORAN_KUBERAY_CRD")
    if not path:
        pytest.skip(
            "NOT HELD AGAINST THE CRD ITSELF: name KubeRay's ray.io_rayservices.yaml in ZORAN_KUBERAY_CRD"
        )
    crd = yaml.safe_load(Path(path).read_text())
    (version,) = (each for each in crd["spec"]["versions"] if each["name"] == "v1")
    schema = _closed(version["schema"]["openAPIV3Schema"])
    for each in _kind(helm(EVERY[name]), "RayService"):
        jsonschema.validate(each, schema)


def _closed(schema: Any) -> Any:
    """The same schema, with unknown fields forbidden."""
    if isinstance(schema, list):
        return [_closed(each) for each in schema]
    if not isinstance(schema, dict):
        return schema
    found = {key: _closed(value) for key, value in schema.items()}
    open_ended = schema.get("x-kubernetes-preserve-unknown-fields") or "additionalProperties" in schema
    if isinstance(schema.get("properties"), dict) and not open_ended:
        found["additionalProperties"] = False
    if found.pop("x-kubernetes-int-or-string", None):
        found.pop("type", None)
    return found


@pytest.mark.parametrize("name", EVERY)
def test_pods_are_locked(helm: Any, name: str) -> None:
    for template in _templates(helm(EVERY[name])):
        pod = template["spec"]
        assert pod["enableServiceLinks"] is False
        assert pod["securityContext"]["runAsNonRoot"] is True
        for container in (*pod["containers"], *pod.get("initContainers", [])):
            context = container["securityContext"]
            assert context["readOnlyRootFilesystem"] is True
            assert context["allowPrivilegeEscalation"] is False
            assert context["capabilities"] == {"drop": ["ALL"]}
            assert set(container["resources"]["limits"]) >= {"cpu", "memory"}
            assert not container["image"].endswith(":latest")


def test_only_the_head_may_ask_the_kubernetes_api_and_only_to_scale(helm: Any) -> None:
    def allowed(values: dict[str, Any]) -> list[str]:
        return [
            each["metadata"]["labels"]["app.kubernetes.io/component"]
            for each in _templates(helm(values))
            if each["spec"]["automountServiceAccountToken"]
        ]

    assert allowed(ALL_ON) == ["head"]
    assert allowed({}) == allowed(KEDA) == []


def test_the_cluster_asks_for_the_token_and_survives_its_head(helm: Any) -> None:
    (service,) = _kind(helm(ALL_ON), "RayService")
    cluster = service["spec"]["rayClusterConfig"]
    assert cluster["authOptions"] == {"mode": "token", "secretName": "zoran-ray-token"}
    assert cluster["autoscalerOptions"]["version"] == "v2"
    assert cluster["enableInTreeAutoscaling"] is True
    redis = cluster["gcsFaultToleranceOptions"]
    assert redis["redisAddress"] == "redis.databases.svc:6379"
    assert set(redis["redisPassword"]) == {"valueFrom"}
    (group,) = cluster["workerGroupSpecs"]
    assert group["template"]["spec"]["containers"][0]["resources"]["limits"]["nvidia.com/gpu"] == "1"


def test_no_two_things_want_one_port(helm: Any) -> None:
    for template in _templates(helm({})):
        (container,) = template["spec"]["containers"]
        ports = {each["name"]: each["containerPort"] for each in container["ports"]}
        assert len(set(ports.values())) == len(ports)
        assert ports["metrics"] == 8090  # KubeRay would add 8080 where none has this name
    (service,) = _kind(helm({}), "RayService")
    cluster = service["spec"]["rayClusterConfig"]
    for group in (cluster["headGroupSpec"], *cluster["workerGroupSpecs"]):
        assert group["rayStartParams"]["metrics-export-port"] == "8090"


def test_the_application_is_there(root: Path, helm: Any) -> None:
    (service,) = _kind(helm({}), "RayService")
    config = yaml.safe_load(service["spec"]["serveConfigV2"])
    (app,) = config["applications"]
    module, name = app["import_path"].split(":")
    assert f"def {name}(" in (root / f"{module.replace('.', '/')}.py").read_text()
    assert config["http_options"]["port"] == 8080
    assert app["route_prefix"] is None


@pytest.mark.parametrize("name", EVERY)
def test_no_secret_is_a_value(helm: Any, name: str) -> None:
    objects = helm(EVERY[name])
    assert _kind(objects, "Secret") == []
    for template in _templates(objects):
        for container in template["spec"]["containers"]:
            for variable in container["env"]:
                if any(word in variable["name"] for word in ("TOKEN", "PASSWORD", "SECRET", "API_KEY")):
                    assert "value" not in variable


@pytest.mark.parametrize("name", EVERY)
def test_everything_is_shut_and_then_opened(helm: Any, name: str) -> None:
    objects = helm(EVERY[name])
    policies = {each["metadata"]["name"]: each["spec"] for each in _kind(objects, "NetworkPolicy")}
    shut = policies.pop("zoran-deny-all")
    assert shut["policyTypes"] == ["Ingress", "Egress"]
    assert "ingress" not in shut
    assert "egress" not in shut
    # It holds for every pod that there is.
    for template in _templates(objects):
        assert shut["podSelector"]["matchLabels"].items() <= template["metadata"]["labels"].items()
    for rule in policies.values():
        for way in (*rule.get("ingress", []), *rule.get("egress", [])):
            assert way, "an empty rule lets everything through"
    assert {"zoran-nodes", "zoran-dns", "zoran-clients", "zoran-operator"} <= set(policies)
    assert ("zoran-api-server" in policies) is (name == "all")
    assert ("zoran-redis" in policies) is (name == "all")
    assert ("zoran-outside" in policies) is (name == "all")


def test_ray_is_open_to_its_own_nodes_alone(helm: Any) -> None:
    ports = {
        port["port"]
        for each in _kind(helm(ALL_ON), "NetworkPolicy")
        for way in each["spec"].get("ingress", [])
        for port in way.get("ports", [])
    }
    assert ports == {8080, 8265}  # the endpoint; the dashboard, for KubeRay's operator
    assert all(each["spec"]["type"] == "ClusterIP" for each in _kind(helm(ALL_ON), "Service"))


def test_metrics_are_read_once(helm: Any) -> None:
    objects = helm(ALL_ON)
    (monitor,) = _kind(objects, "ServiceMonitor")
    wanted = monitor["spec"]["selector"]["matchLabels"].items()
    (service,) = (
        each for each in _kind(objects, "Service") if wanted <= each["metadata"]["labels"].items()
    )
    assert service["spec"]["selector"]["app.kubernetes.io/component"] == "head"
    credentials = monitor["spec"]["endpoints"][0]["authorization"]["credentials"]
    assert credentials == {"name": "zoran-metrics-key", "key": "metrics_key"}


def test_keda_scales_by_a_metric_that_there_is(helm: Any) -> None:
    from zoran_ray.telemetry import names

    objects = helm(KEDA)
    (scaled,) = _kind(objects, "ScaledObject")
    (deployment,) = _kind(objects, "Deployment")
    assert scaled["spec"]["scaleTargetRef"]["name"] == deployment["metadata"]["name"]
    assert "replicas" not in deployment["spec"]
    assert names.INFLIGHT in scaled["spec"]["triggers"][0]["metadata"]["query"]


def test_the_state_outlives_the_release(helm: Any) -> None:
    (claim,) = _kind(helm({}), "PersistentVolumeClaim")
    assert claim["metadata"]["annotations"]["helm.sh/resource-policy"] == "keep"
    assert _kind(helm(NEW_CLUSTER), "PersistentVolumeClaim") == []


def test_settings_stay_what_the_chart_needs(helm: Any) -> None:
    (config,) = _kind(helm({"settings": {"server": {"host": "127.0.0.1", "max_inflight": 9}}}), "ConfigMap")
    settings = yaml.safe_load(config["data"]["zoran.yaml"])
    assert settings["server"] == {"host": "0.0.0.0", "port": 8080, "gateways": 1, "max_inflight": 9}


def test_the_settings_are_ours(helm: Any, tmp_path: Path) -> None:
    from zoran_ray.config import load_settings

    (config,) = _kind(helm({}), "ConfigMap")
    (tmp_path / "zoran.yaml").write_text(config["data"]["zoran.yaml"])
    found, *_ = load_settings({"config": tmp_path / "zoran.yaml"}, {}, tmp_path)
    assert found.server.port == 8080


@pytest.mark.parametrize(
    ("values", "told"),
    [
        ({"upgrade": {"strategy": "NewCluster"}}, "still holds it"),
        ({"head": {"persistence": {"enabled": False}}}, "has no API key"),
        ({"autoscaling": {"mode": "keda"}}, "KEDA scales gatewayNodes"),
        ({"gatewayNodes": KEDA["gatewayNodes"]}, "KEDA scales gatewayNodes"),
        ({"redis": {"enabled": True}}, "redis.host is empty"),
        ({"monitoring": {"enabled": True}}, "needs an API key"),
        (
            {"workers": [{"name": "a", "cpus": 1, "memory": "8Gi", "gpus": 0, "min": 1, "max": 2}]},
            "nothing",
        ),
        (
            {"workers": [{"name": "a", "cpus": 1, "memory": "8Gi", "gpus": 0, "min": 2, "max": 1}]},
            "above max",
        ),
        ({"gatway": {}}, "gatway"),
        ({"image": {"tag": "latest"}}, "tag"),
        ({"secrets": {"rayToken": "0123456789abcdef0123456789abcdef"}}, "rayToken"),
    ],
)
def test_contradictions_end_the_rendering(helm: Any, values: dict[str, Any], told: str) -> None:
    with pytest.raises(ValueError) as refused:
        helm(values)
    assert told in str(refused.value)


# -- without Helm -----------------------------------------------------------


def _merged(base: dict[str, Any], over: dict[str, Any]) -> dict[str, Any]:
    """As Helm lays values over a chart's own."""
    found = dict(base)
    for key, value in over.items():
        inner = base.get(key)
        deeper = isinstance(value, dict) and isinstance(inner, dict)
        found[key] = _merged(inner, value) if deeper else value  # type: ignore[arg-type]
    return found


@pytest.mark.parametrize("name", ["cluster", "keda", "new cluster"])
def test_what_a_profile_renders_is_what_the_chart_takes(root: Path, name: str) -> None:
    profile = (
        read_profile(root / "configs/profiles/cluster.yaml")
        if name == "cluster"
        else profile_of({"name": "test", **_PROFILES[name]}, lambda path: "test.yaml")
    )
    chart = root / "cluster/helm/zoran"
    schema = json.loads((chart / "values.schema.json").read_text())
    values = yaml.safe_load((chart / "values.yaml").read_text())
    jsonschema.Draft7Validator.check_schema(schema)
    jsonschema.validate(values, schema)
    jsonschema.validate(_merged(values, helm_values(profile)), schema)


_PROFILES: dict[str, dict[str, Any]] = {
    "keda": {"autoscaling": "keda", "gateway_nodes": {}},
    "new cluster": {"upgrade": "new_cluster", "state": "ephemeral", "secrets": {"keys": "zoran-keys"}},
}


def test_a_profile_goes_all_the_way(root: Path, helm: Any) -> None:
    objects = helm(helm_values(read_profile(root / "configs/profiles/cluster.yaml")))
    (service,) = _kind(objects, "RayService")
    groups = service["spec"]["rayClusterConfig"]["workerGroupSpecs"]
    assert [(each["groupName"], each["minReplicas"], each["maxReplicas"]) for each in groups] == [
        ("cpu", 2, 4),
        ("gpu", 1, 8),
    ]
