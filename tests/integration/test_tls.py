"""rediss:// and PostgreSQL's sslmode, against servers behind TLS with self-made certificates."""

import socket
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from kombu.exceptions import KombuError
from sqlalchemy import make_url, text

from aftercall.broker import Broker, create_app
from aftercall.database import connect
from aftercall.errors import BrokerError, DatabaseError
from aftercall.message import Chunk, ChunkJob
from aftercall.schema import check
from aftercall.settings import Settings
from tests.fixtures.tls_proxy import TlsProxy, make_certificate
from tests.fixtures.workers import (
    WorkerStarter,
    expected_summaries,
    submit_file,
    summaries_by_id,
    wait_until_finished,
    write_source,
)

IDS = [f"C-{number:03d}" for number in range(16)]
CHUNK = Chunk((ChunkJob(1, "user: hello\n"),))

Certificate = tuple[Path, Path]


@pytest.fixture
def certificate(tmp_path: Path) -> Certificate:
    return make_certificate(tmp_path, "server")


@pytest.fixture
def other(tmp_path: Path) -> Path:
    """A certificate that signed no server's."""
    return make_certificate(tmp_path, "other")[0]


@pytest.fixture
def redis_proxy(redis_url: str, certificate: Certificate) -> Iterator[TlsProxy]:
    port = urlsplit(redis_url).port
    proxy = TlsProxy(certificate, lambda: socket.create_connection(("127.0.0.1", port or 0)), is_postgres=False)
    yield proxy
    proxy.close()


@pytest.fixture
def postgres_proxy(postgres_url: str, certificate: Certificate) -> Iterator[TlsProxy]:
    query = make_url(postgres_url).query

    def open_socket() -> socket.socket:
        server = socket.socket(socket.AF_UNIX)
        server.connect(f"{query['host']}/.s.PGSQL.{query.get('port', 5432)}")
        return server

    proxy = TlsProxy(certificate, open_socket, is_postgres=True)
    yield proxy
    proxy.close()


def over_tls(redis_url: str, proxy: TlsProxy, query: str) -> str:
    return f"rediss://:{urlsplit(redis_url).password}@localhost:{proxy.port}/0{query}"


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
def test_a_night_over_rediss(
    tmp_path: Path, settings: Settings, redis_proxy: TlsProxy, certificate: Certificate, start_worker: WorkerStarter
) -> None:
    url = over_tls(settings.redis_url, redis_proxy, f"?ssl_cert_reqs=required&ssl_ca_certs={certificate[0]}")
    settings = settings.model_copy(update={"redis_url": url})
    database = connect(settings.database_url)
    report = submit_file(write_source(tmp_path / "night.csv", IDS), database, settings)
    start_worker(settings=settings)
    assert wait_until_finished(database, report.submission_id).done == len(IDS)
    assert summaries_by_id(database, report.submission_id) == expected_summaries(IDS)
    # The producer's queries and its queue, and both again in the worker.
    assert redis_proxy.num_encrypted >= 4
    database.dispose()


@pytest.mark.parametrize("query", ["", "?ssl_cert_reqs=required", "?ssl_cert_reqs=required&ssl_ca_certs={other}"])
@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
def test_a_redis_whose_certificate_is_not_trusted_is_refused(
    settings: Settings, redis_proxy: TlsProxy, other: Path, query: str
) -> None:
    url = over_tls(settings.redis_url, redis_proxy, query.format(other=other))
    settings = settings.model_copy(update={"redis_url": url})
    broker = Broker(settings)
    with pytest.raises(BrokerError, match="certificate"):
        broker.check()
    with pytest.raises(BrokerError, match="certificate"):
        broker.send([CHUNK])
    broker.close()
    with create_app(settings) as app, pytest.raises((KombuError, OSError)):
        app.connection_for_read().ensure_connection(max_retries=1, interval_start=0)
    assert redis_proxy.num_encrypted == 0


def test_a_ledger_over_tls(postgres_url: str, postgres_proxy: TlsProxy, certificate: Certificate) -> None:
    engine = connect(postgres_over_tls(postgres_url, postgres_proxy, certificate[0]))
    check(engine)
    with engine.connect() as connection:
        assert connection.execute(text("SELECT 1")).scalar_one() == 1
        driver = connection.connection.driver_connection
        assert driver is not None and driver.pgconn.ssl_in_use
    engine.dispose()
    assert postgres_proxy.num_encrypted >= 1


def test_a_ledger_whose_certificate_is_not_trusted_is_refused(
    postgres_url: str, postgres_proxy: TlsProxy, other: Path
) -> None:
    engine = connect(postgres_over_tls(postgres_url, postgres_proxy, other))
    with pytest.raises(DatabaseError, match="certificate verify failed"):
        check(engine)
    engine.dispose()
    assert postgres_proxy.num_encrypted == 0


def postgres_over_tls(postgres_url: str, proxy: TlsProxy, root: Path) -> str:
    url = make_url(postgres_url).set(host="localhost", port=proxy.port, query={})
    query = {"sslmode": "verify-full", "sslrootcert": str(root)}
    return url.update_query_dict(query).render_as_string(hide_password=False)
