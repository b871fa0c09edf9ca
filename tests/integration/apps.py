# SPDX-License-Identifier: MIT
"""What the tests of the bundled modules share: servers with them, on either
database, and tokens.

    @pytest.fixture(scope="module", params=DATABASES)
    def url(request):
        with database(request.param) as url:
            yield url
"""
import base64
import contextlib
import hashlib
import hmac
import json
import time

from corelane import Corelane

SECRET = "a-secret-of-the-tests-0123456789abcdef"
DATABASES = ["sqlite", "postgresql"]


@contextlib.contextmanager
def database(kind):
    """The url of an empty database."""
    if kind == "sqlite":
        yield "sqlite:apps.db"      # in the folder of the server's config
        return
    from postgres import Postgres
    with Postgres() as server:
        yield server.url


@contextlib.contextmanager
def serving(config, **options):
    """A server, stopped and checked afterwards."""
    server = Corelane(config, **options).start()
    try:
        yield server
    finally:
        problems = server.finish()
    assert not problems, "\n".join(problems)


def base64url(data):
    return base64.urlsafe_b64encode(data).rstrip(b"=")


def token(secret=SECRET, **claims):
    """An HS256 token (RFC 7515 A.1), good for an hour unless `exp` is given."""
    claims = {"sub": "ada", "permissions": ["read", "write"],
              "exp": int(time.time()) + 3600, **claims}
    text = b".".join(base64url(json.dumps(part).encode()) for part in
                     ({"alg": "HS256", "typ": "JWT"}, claims))
    mac = hmac.new(secret.encode(), text, hashlib.sha256).digest()
    return (text + b"." + base64url(mac)).decode()


def bearer(**claims):
    return {"Authorization": "Bearer " + token(**claims)}
