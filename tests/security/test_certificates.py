"""What is refused of a certificate and its key before anything starts, and whom a client here trusts."""

import os
import ssl
import subprocess
from pathlib import Path

import pytest

from tests.security.pairs import Authority, Pair
from zoran_ray.certificates import require_pair, trusting
from zoran_ray.config import load
from zoran_ray.errors import ConfigError
from zoran_ray.settings import ServerSettings


def refused(pair: Pair) -> ConfigError:
    with pytest.raises(ConfigError) as raised:
        require_pair(pair.certificate, pair.key)
    return raised.value


def test_a_pair_will_do(pair: Pair) -> None:
    require_pair(pair.certificate, pair.key)


def test_links_will_do(pair: Pair, tmp_path: Path) -> None:
    for link, target in ((tmp_path / "live.pem", pair.certificate), (tmp_path / "live.key", pair.key)):
        link.symlink_to(target)
    require_pair(tmp_path / "live.pem", tmp_path / "live.key")


@pytest.mark.parametrize("field", ["certificate", "key"])
def test_a_file_that_is_missing(pair: Pair, field: str) -> None:
    getattr(pair, field).unlink()
    error = refused(pair)
    assert "cannot be read: No such file" in error.message
    assert error.param == ("server.tls_cert" if field == "certificate" else "server.tls_key")


def test_a_folder_is_no_file(pair: Pair, tmp_path: Path) -> None:
    assert "Is a directory" in refused(Pair(pair.certificate, tmp_path)).message


def test_a_pipe_does_not_make_us_wait(pair: Pair, tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe", 0o600)
    assert "no certificate" in refused(Pair(tmp_path / "pipe", pair.key)).message


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_a_key_that_we_may_not_read(pair: Pair) -> None:
    pair.key.chmod(0)
    assert "Permission denied" in refused(pair).message


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o666, 0o602])
def test_a_key_that_others_may_read(pair: Pair, mode: int) -> None:
    pair.key.chmod(mode)
    error = refused(pair)
    assert f"mode {mode:03o}" in error.message
    assert f"chmod 600 {pair.key}" in error.message


def test_two_that_do_not_belong_together(authority: Authority, pair: Pair) -> None:
    error = refused(Pair(pair.certificate, authority.pair("other").key))
    assert "is not the key of" in error.message
    assert error.param == "server.tls_key"


@pytest.mark.parametrize("content", [b"", b"nonsense", b"-----BEGIN PRIVATE KEY-----\n!\n"])
def test_what_is_no_key(pair: Pair, content: bytes) -> None:
    pair.key.write_bytes(content)
    assert "Both must be PEM" in refused(pair).message


def test_a_key_is_no_certificate(pair: Pair) -> None:
    assert "holds no certificate" in refused(Pair(pair.key, pair.key)).message


def test_a_passphrase_is_not_asked_for(pair: Pair) -> None:
    closed = pair.key.with_suffix(".closed")
    command = ["openssl", "pkey", "-in", pair.key, "-out", closed, "-aes256", "-passout", "pass:once upon"]
    try:
        subprocess.run(command, check=True, capture_output=True, timeout=20)
    except FileNotFoundError:
        pytest.skip("openssl is not installed")
    closed.chmod(0o600)
    assert "without a passphrase" in refused(Pair(pair.certificate, closed)).message


def test_one_that_expired(authority: Authority) -> None:
    assert "expired on" in refused(authority.pair("old", -3, -1)).message


def test_one_of_tomorrow_or_a_clock_of_yesterday(authority: Authority) -> None:
    assert "Set the clock" in refused(authority.pair("new", 1, 3)).message


def test_no_key_is_quoted(pair: Pair, authority: Authority) -> None:
    secret = pair.key.read_text().splitlines()[1]
    for broken in (Pair(authority.pair("b").certificate, pair.key), Pair(pair.key, pair.key)):
        assert secret not in refused(broken).message


@pytest.mark.parametrize("given", ["tls_cert", "tls_key"])
def test_half_a_pair_is_no_setting(given: str, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="belong together"):
        load({f"server.{given}": "/etc/tls.pem"}, {"HOME": str(tmp_path)}, tmp_path)


def test_a_pair_may_come_from_two_sources(tmp_path: Path) -> None:
    variables = {"HOME": str(tmp_path), "ZORAN_SERVER__TLS_KEY": "/run/secrets/tls.key"}
    loaded = load({"server.tls_cert": "/etc/tls.pem"}, variables, tmp_path)
    assert loaded.settings.server.scheme == "https"
    assert ServerSettings().scheme == "http"


def test_a_path_from_nowhere_is_refused(tmp_path: Path) -> None:
    (tmp_path / "zoran.yaml").write_text("server: {tls_cert: tls.pem, tls_key: tls.key}")
    with pytest.raises(ConfigError, match="not the whole path"):
        load({}, {"HOME": str(tmp_path)}, tmp_path)


def shaken(context: ssl.SSLContext, served: Pair) -> None:
    """A handshake of a client with this context and a server with that pair, in memory."""
    server_context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    server_context.load_cert_chain(served.certificate, served.key)
    to_server, to_client = ssl.MemoryBIO(), ssl.MemoryBIO()
    client = context.wrap_bio(to_client, to_server, server_hostname="127.0.0.2")
    server = server_context.wrap_bio(to_server, to_client, server_side=True)
    waiting = {client, server}
    while waiting:
        for side in (client, server):
            try:
                side.do_handshake()
                waiting.discard(side)
            except ssl.SSLWantReadError:
                pass


def test_a_client_here_trusts_that_certificate_and_no_other(authority: Authority, pair: Pair) -> None:
    context = trusting(pair.certificate)
    shaken(context, pair)
    # Signed by the same root, for the same name.
    with pytest.raises(ssl.SSLCertVerificationError):
        shaken(context, authority.pair("other"))


def test_nobody_else_trusts_it(pair: Pair) -> None:
    with pytest.raises(ssl.SSLCertVerificationError):
        shaken(ssl.create_default_context(), pair)
