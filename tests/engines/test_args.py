"""The command line that stands for a model; vLLM itself is not imported."""

import io
import sys

import pytest

from zoran_ray.engines.vllm import args
from zoran_ray.errors import ConfigError, ModelLoadError
from zoran_ray.models_file import ModelSpec
from zoran_ray.pocket import MODEL_DIR


def line(spec, device="cpu"):
    return args.argv(spec, device=device)


def test_the_embedded_model():
    argv = line(ModelSpec(name="pocket"))
    assert argv[:5] == ["--model", str(MODEL_DIR), "--served-model-name", "local/pocket", "pocket"]
    assert "--dtype=float32" in argv
    assert "--max-model-len=2048" in argv


def test_defaults_depend_on_the_device():
    spec = ModelSpec(name="m", source="org/model")
    assert "--gpu-memory-utilization=0.3" in line(spec, "cpu")
    assert not any(a.startswith(("--gpu-memory", "--block-size")) for a in line(spec, "gpu"))
    assert "--disable-fastapi-docs" in line(spec, "gpu")


def test_without_a_compiler_a_model_on_a_cpu_is_run_eagerly(monkeypatch, tmp_path):
    spec = ModelSpec(name="m", source="org/model")
    compiler = tmp_path / "g++"
    compiler.touch(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    assert "--enforce-eager" not in line(spec, "cpu")
    compiler.unlink()
    assert "--enforce-eager" in line(spec, "cpu")
    assert "--enforce-eager" not in line(spec, "gpu")
    assert "--no-enforce-eager" in line(
        ModelSpec(name="m", source="org/model", engine_args={"enforce_eager": False}), "cpu"
    )


EXECUTOR = f"--distributed-executor-backend={args.ONE_PROCESS}"


def on_cores(monkeypatch, count):
    monkeypatch.setattr(args.os, "sched_getaffinity", lambda pid: set(range(count)))


def test_where_cores_are_few_one_process_schedules_and_computes(monkeypatch):
    spec = ModelSpec(name="m", source="org/model")
    for count, device, expected in [
        (1, "cpu", True),
        (8, "cpu", True),
        (9, "cpu", False),
        (2, "gpu", False),
    ]:
        on_cores(monkeypatch, count)
        assert (EXECUTOR in line(spec, device)) == expected, (count, device)
        assert args.in_one_process(spec, device=device) == expected


@pytest.mark.parametrize(
    "told",
    [
        {"engine_args": {"tensor-parallel-size": 2}},
        {"engine_args": {"distributed_executor_backend": "mp"}},
        {"engine_args": {"distributed_executor_backend": None}},
        {"env": {"VLLM_CPU_OMP_THREADS_BIND": "0-3"}},
    ],
)
def test_who_wants_workers_or_binds_threads_gets_what_vllm_has_for_it(monkeypatch, told):
    on_cores(monkeypatch, 2)
    spec = ModelSpec(name="m", source="org/model", **told)
    assert EXECUTOR not in line(spec)
    assert not args.in_one_process(spec, device="cpu")


def test_one_process_that_is_asked_for_is_known_on_many_cores(monkeypatch):
    on_cores(monkeypatch, 64)
    told = {"engine_args": {"distributed-executor-backend": args.ONE_PROCESS}}
    assert args.in_one_process(ModelSpec(name="m", source="org/model", **told), device="cpu")


def test_an_engine_that_spins_gets_cores_of_its_own(monkeypatch):
    on_cores(monkeypatch, 2)
    two = {"distributed_executor_backend": "mp"}
    for engine_args, cores, device, expected in [
        ({}, "auto", "cpu", False),
        (two, "auto", "cpu", True),
        (two, "auto", "gpu", False),
        (two, "off", "cpu", False),
        ({}, [1], "cpu", True),
        ({}, [1], "gpu", True),
    ]:
        spec = ModelSpec(name="m", source="org/model", engine_args=engine_args, pin_cores=cores)
        assert args.pins(spec, device=device) == expected, (engine_args, cores, device)


def test_what_the_operator_says_wins_in_either_spelling():
    for name in ("gpu_memory_utilization", "gpu-memory-utilization"):
        argv = line(ModelSpec(name="m", source="org/model", engine_args={name: 0.5}))
        assert [a for a in argv if a.startswith("--gpu-memory")] == ["--gpu-memory-utilization=0.5"]


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (True, ["--x-y"]),
        (False, ["--no-x-y"]),
        (None, []),
        (7, ["--x-y=7"]),
        ("-1", ["--x-y=-1"]),
        ("", ["--x-y="]),
        (["a=b", 2], ["--x-y", "a=b", "2"]),
        ([], ["--x-y", "[]"]),
        ({"a": [1]}, ["--x-y", '{"a": [1]}']),
        ([{"name": "l"}], ["--x-y", '[{"name": "l"}]']),
    ],
)
def test_values_as_flags(value, expected):
    argv = line(ModelSpec(name="m", source="org/model", engine_args={"x_y": value}))
    start = [i for i, a in enumerate(argv) if a.startswith(("--x-y", "--no-x-y"))]
    assert argv[start[0] :] == expected if expected else not start


@pytest.mark.parametrize("name", ["model", "served_model_name", "host", "port", "api-key", "ssl-keyfile"])
def test_what_the_replica_decides_cannot_be_set(name):
    with pytest.raises(ConfigError, match="set by zoran itself") as refused:
        line(ModelSpec(name="m", source="org/model", engine_args={name: "x"}))
    assert refused.value.param == f"engine_args.{name}"


def test_sources(tmp_path):
    (tmp_path / "config.json").write_text("{}")
    assert args.model_path(ModelSpec(name="m", source=str(tmp_path))) == str(tmp_path)
    assert args.model_path(ModelSpec(name="m", source="org/model")) == "org/model"


@pytest.mark.parametrize("made", [False, True])
def test_a_folder_that_is_none(tmp_path, made):
    folder = tmp_path / "model"
    if made:
        folder.mkdir()
    with pytest.raises(ModelLoadError, match=r"config\.json" if made else "does not exist") as refused:
        line(ModelSpec(name="m", source=str(folder)))
    assert refused.value.param == "source"


def test_a_refusal_by_argparse_becomes_an_error_and_prints_nothing(capsys):
    def parse():
        print("usage: …\nvllm: error: unrecognized arguments: --x=1", file=sys.stderr)
        raise SystemExit(2)

    with pytest.raises(ConfigError, match=r"refuses engine_args: unrecognized arguments: --x=1"):  # noqa: SIM117
        with args._refusals(ModelSpec(name="m")):
            parse()
    assert capsys.readouterr() == ("", "")


@pytest.mark.parametrize("failure", [ValueError("bad value"), TypeError("bad value")])
def test_a_refusal_by_vllm_becomes_an_error(failure):
    with pytest.raises(ConfigError, match="bad value"), args._refusals(ModelSpec(name="m")):
        raise failure


def test_a_refusal_without_a_word():
    with pytest.raises(ConfigError, match="without a word"), args._refusals(ModelSpec(name="m")):
        raise SystemExit(2)


def test_stderr_is_given_back():
    before = sys.stderr
    with args._refusals(ModelSpec(name="m")):
        assert isinstance(sys.stderr, io.StringIO)
    assert sys.stderr is before


@pytest.mark.parametrize("name", ["scheduling_policy", "scheduling-policy"])
def test_who_serves_by_priority(name):
    assert args.serves_by_priority(ModelSpec(name="m", engine_args={name: "priority"}))
    assert args.serves_by_priority(ModelSpec(name="m"))
    elsewhere = ModelSpec(name="m", source="http://127.0.0.1:9")
    assert not args.serves_by_priority(elsewhere)
    assert args.serves_by_priority(elsewhere.model_copy(update={"engine_args": {name: "priority"}}))
    assert not args.serves_by_priority(ModelSpec(name="m", engine_args={name: "fcfs"}))
