"""`zoran serve`: starts everything and stays until it is stopped."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from zoran_ray.cli.options import AsJson, ConfigFile, EngineArgs, StateDir, configured
from zoran_ray.cli.output import Progress, print_json

if TYPE_CHECKING:
    from zoran_ray.runtime import ReadyInfo


def serve(
    host: Annotated[
        str | None, typer.Option(help="Address to listen on; any but loopback needs an API key.")
    ] = None,
    port: Annotated[int | None, typer.Option(min=1, max=65535, help="Port to listen on.")] = None,
    model: Annotated[
        list[str] | None,
        typer.Option("--model", help="Folder, hub id, or `pocket` (the embedded model). Repeatable."),
    ] = None,
    models_file: Annotated[
        Path | None, typer.Option(help="YAML file with models and arms; followed while it is edited.")
    ] = None,
    engine_arg: EngineArgs = None,
    tls_cert: Annotated[
        Path | None, typer.Option("--tls-cert", help="PEM file with the endpoint's certificate, for HTTPS.")
    ] = None,
    tls_key: Annotated[
        Path | None, typer.Option("--tls-key", help="PEM file with its key, closed to other users.")
    ] = None,
    gateways: Annotated[int | None, typer.Option(min=1, max=64, help="Gateway replicas.")] = None,
    state_dir: StateDir = None,
    config: ConfigFile = None,
    log_format: Annotated[str | None, typer.Option(help="auto, json or pretty.")] = None,
    as_json: AsJson = False,
) -> None:
    """Serve models until Ctrl-C or `zoran stop`."""
    loaded = configured(
        config=config,
        model=model,
        models_file=models_file,
        engine_arg=engine_arg,
        state_dir=state_dir,
        server__host=host,
        server__port=port,
        server__tls_cert=tls_cert.absolute() if tls_cert else None,
        server__tls_key=tls_key.absolute() if tls_key else None,
        server__gateways=gateways,
        log__format=log_format,
    )
    from zoran_ray.runtime import serve as run

    def on_ready(info: "ReadyInfo") -> None:
        if as_json:
            print_json({"url": info.url, "models": list(info.models), "needs_key": info.needs_key})
        else:
            typer.echo(welcome(info, state_dir))

    run(loaded, Progress(), on_ready)


def welcome(info: "ReadyInfo", state_dir: Path | None) -> str:
    """What a person needs to know when the server is ready."""
    model = info.models[0] if info.models else "MODEL"
    auth = ' -H "Authorization: Bearer $ZORAN_API_KEY"' if info.needs_key else ""
    key = "your key (`zoran keys create NAME` makes one)" if info.needs_key else '"none"'
    where = f" --state-dir {state_dir}" if state_dir else ""
    body = f'{{"model": "{model}", "messages": [{{"role": "user", "content": "What is 17+25?"}}]}}'
    return f"""
Ready at {info.url} with {", ".join(info.models) or "no model yet (`zoran models load`)"}

  Chat here       zoran chat{where}
  curl            curl {info.url}/v1/chat/completions -H "Content-Type: application/json"{auth} \\
                    -d '{body}'
  OpenAI client   OpenAI(base_url="{info.url}/v1", api_key={key})
  Stop            Ctrl-C here, or zoran stop{where}
"""
