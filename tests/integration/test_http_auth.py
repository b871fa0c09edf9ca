# SPDX-License-Identifier: MIT
"""Who is asking: tokens and passwords, from the outside."""
import base64
import ctypes
import hashlib
import hmac
import json
import os
import subprocess
import time

import pytest

from corelane import Corelane, wait_until

SECRET = "0123456789abcdef0123456789abcdef"
REALM = 'Bearer realm="corelane"'


def b64(data):
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def token(claims, header=None, secret=SECRET):
    """A token made without the server."""
    text = ".".join(b64(json.dumps(part).encode())
                    for part in (header or {"alg": "HS256"}, claims))
    mac = hmac.new(secret.encode(), text.encode(), hashlib.sha256).digest()
    return text + "." + b64(mac)


def bearer(text):
    return [("Authorization", "Bearer " + text)]


def basic(user, password):
    pair = base64.b64encode(f"{user}:{password}".encode()).decode()
    return [("Authorization", "Basic " + pair)]


def openssl(*words, data=None):
    return subprocess.run(["openssl", *words], check=True, input=data,
                          capture_output=True).stdout


def say(path, *middleware, **more):
    return {"path": path, "handler": "respond", "body": path,
            "middleware": list(middleware), **more}


def jwt(**keys):
    return {"use": "jwt", "algorithms": ["HS256"], "secret": SECRET, **keys}


# -- tokens ----------------------------------------------------------------------

@pytest.fixture(scope="module")
def guarded():
    server = Corelane({
        "workers": 1,
        "routes": [
            say("/me", jwt()),
            say("/writes", jwt(methods=["POST", "DELETE"]),
                methods=["GET", "POST"]),
            say("/reads", jwt(methods=["GET"])),
            say("/guests", jwt(required=False)),
            say("/admins", jwt(claims={"role": "admin", "scope": "write"})),
            say("/cookie", jwt(cookie="session")),
            say("/strict", jwt(issuer="us", audience=["a", "b"],
                               leeway="0s")),
            say("/short", jwt(max_bytes=256)),
            {"path": "/echo", "handler": "echo", "middleware": [jwt()]},
        ],
    }).start()
    yield server
    problems = server.finish()
    assert not problems, "\n".join(problems)


def test_a_good_token_comes_in(guarded):
    r = guarded.get("/me", bearer(token({"sub": "me"})))
    assert (r.status, r.body) == (200, b"/me")


def test_without_one_the_challenge_says_no_more(guarded):
    r = guarded.get("/me")
    assert (r.status, r["WWW-Authenticate"]) == (401, REALM)
    assert json.loads(r.body)["error"]["code"] == "UNAUTHORIZED"


HOUR = 3600


@pytest.mark.parametrize("claims, header, why", [
    ({"exp": time.time() - HOUR}, None, "the token has expired"),
    ({"nbf": time.time() + HOUR}, None, "the token is not valid yet"),
    ({"exp": "soon"}, None, "a time of the token is not a number"),
    ({}, {"alg": "none"}, "the token's algorithm is not supported"),
    ({}, {"alg": "HS512"}, "the token's algorithm is not allowed"),
    ({}, {"alg": "RS256"}, "the token's algorithm is not allowed"),
    ({}, {"alg": "HS256", "crit": ["x"]},
     "the token needs an extension that is not supported"),
])
def test_a_bad_token_is_told_why(guarded, claims, header, why):
    r = guarded.get("/me", bearer(token(claims, header)))
    assert r.status == 401
    assert r["WWW-Authenticate"] == (
        f'{REALM}, error="invalid_token", error_description="{why}"')
    assert json.loads(r.body)["error"]["message"] == why


def test_another_secret_doesnt_do(guarded):
    r = guarded.get("/me", bearer(token({}, secret=SECRET[::-1])))
    assert r.status == 401
    assert "the token's signature is wrong" in r["WWW-Authenticate"]


@pytest.mark.parametrize("value", [
    "Bearer", "Bearer ", "Bearer a.b.c", "Bearer ..", "Bearer \t", "Basic a",
    "bearer" + token({}), "Bearer " + token({}) + " more",
])
def test_what_is_no_token(guarded, value):
    assert guarded.get("/me", [("Authorization", value)]).status == 401


def test_the_scheme_has_no_case(guarded):
    r = guarded.get("/me", [("authorization", "bEARER  " + token({}))])
    assert r.status == 200


def test_two_fields_are_one_too_many(guarded):
    r = guarded.get("/me", 2 * bearer(token({})))
    assert r.status == 401


def test_only_these_methods(guarded):
    assert guarded.get("/writes").status == 200
    assert guarded.request("POST", "/writes").status == 401
    assert guarded.request("POST", "/writes",
                           bearer(token({}))).status == 200
    assert guarded.request("HEAD", "/reads").status == 401


def test_guests_come_in_and_impostors_dont(guarded):
    assert guarded.get("/guests").status == 200
    assert guarded.get("/guests", bearer(token({}))).status == 200
    assert guarded.get("/guests", bearer("a.b.c")).status == 401


@pytest.mark.parametrize("claims, status", [
    ({"role": "admin", "scope": "read write"}, 200),
    ({"role": ["user", "admin"], "scope": ["write"]}, 200),
    ({"role": "admin", "scope": "read"}, 403),
    ({"role": "user", "scope": "write"}, 403),
    ({"scope": "write"}, 403),
    ({"role": {"admin": 1}, "scope": "write"}, 403),
])
def test_claims_decide(guarded, claims, status):
    r = guarded.get("/admins", bearer(token(claims)))
    assert r.status == status
    if status == 403:
        assert r["WWW-Authenticate"] == (
            f'{REALM}, error="insufficient_scope"')


def test_a_cookie_may_carry_it(guarded):
    cookie = [("Cookie", "a=b; session=" + token({}))]
    assert guarded.get("/cookie", cookie).status == 200
    assert guarded.get("/me", cookie).status == 401
    assert guarded.get("/cookie", cookie + bearer("a.b.c")).status == 401


@pytest.mark.parametrize("claims, status", [
    ({"iss": "us", "aud": "a"}, 200),
    ({"iss": "us", "aud": ["c", "b"]}, 200),
    ({"iss": "them", "aud": "a"}, 401),
    ({"iss": "us", "aud": "c"}, 401),
    ({"iss": "us"}, 401),
    ({"iss": "us", "aud": "a", "exp": time.time() - 1}, 401),
])
def test_issuer_and_audience(guarded, claims, status):
    assert guarded.get("/strict", bearer(token(claims))).status == status


def test_a_token_has_a_length(guarded):
    assert guarded.get("/short", bearer(token({"a": "x"}))).status == 200
    assert guarded.get("/short", bearer(token({"a": "x" * 256}))).status == 401


def test_refusals_are_counted(guarded):
    before = guarded.stats()["total"]["auth_failures"]
    guarded.get("/me")
    wait_until(lambda: guarded.stats()["total"]["auth_failures"] > before,
               "the count")


def test_content_behind_a_refusal_does_no_harm(guarded):
    with guarded.connect() as c:
        c.send(b"POST /echo HTTP/1.1\r\nHost: t\r\nContent-Length: 5\r\n\r\n"
               b"hello")
        assert c.response("POST").status == 401
        c.probe("/guests")


# -- keys --------------------------------------------------------------------

def jwk_of(private, kid):
    """The public half of a P-256 key, as a JWK."""
    der = openssl("pkey", "-pubout", "-outform", "DER", data=private)
    return {"kty": "EC", "crv": "P-256", "kid": kid,
            "x": b64(der[-64:-32]), "y": b64(der[-32:])}


def new_key():
    return openssl("genpkey", "-algorithm", "EC", "-pkeyopt",
                   "ec_paramgen_curve:P-256")


def make_token(srv, *words):
    code, out, err = srv.command("token", "--claims", '{"sub": "me"}', *words)
    assert code == 0, err
    return out.strip()


def test_a_changed_key_set_is_taken(corelane):
    keys = {name: new_key() for name in "ab"}
    config = {
        "workers": 1,
        "routes": [say("/" + name, {
            "use": "jwt", "algorithms": ["ES256"], "jwks": "keys.json",
            "signing_key": f"{name}.pem"}) for name in "ab"],
    }
    srv = corelane(config, files={
        "keys.json": json.dumps({"keys": [jwk_of(keys["a"], "a")]}),
        "a.pem": keys["a"], "b.pem": keys["b"]})
    old, new = (make_token(srv, "--route", "/" + name) for name in "ab")
    assert srv.get("/a", bearer(old)).status == 200
    assert srv.get("/a", bearer(new)).status == 401
    srv.write("keys.json", "{broken")
    wait_until(lambda: srv.get("/a", bearer(old)).status == 200 and
               "the keys before it stay in use" in srv.log(), "the complaint")
    srv.write("keys.json", json.dumps({"keys": [
        jwk_of(keys["a"], "a"), jwk_of(keys["b"], "b")]}))
    new = make_token(srv, "--route", "/b")
    wait_until(lambda: srv.get("/a", bearer(new)).status == 200, "the new key")
    assert srv.get("/a", bearer(old)).status == 200
    # A right signature is remembered, but not beyond its key.
    srv.write("keys.json", json.dumps({"keys": [jwk_of(keys["b"], "b")]}))
    wait_until(lambda: srv.get("/a", bearer(old)).status == 401, "the old key")
    assert srv.get("/a", bearer(new)).status == 200


def test_a_remembered_token_expires(corelane):
    key = new_key()
    srv = corelane({"workers": 1, "routes": [say("/", {
        "use": "jwt", "algorithms": ["ES256"], "leeway": "0s",
        "key": "public.pem", "signing_key": "key.pem"})]}, files={
            "key.pem": key, "public.pem": openssl("pkey", "-pubout",
                                                  data=key)})
    made = make_token(srv, "--expires", "2s")
    other = made[:-8] + ("A" if made[-8] != "A" else "B") + made[-7:]
    for _ in range(3):
        srv.get("/", bearer(made))
        assert srv.get("/", bearer(other)).status == 401
    wait_until(lambda: "has expired" in srv.get("/", bearer(made)).get(
        "WWW-Authenticate", ""), "its end")


@pytest.mark.parametrize("keys, words", [
    ({"algorithms": []}, ["algorithms", "must name"]),
    ({"algorithms": ["none"], "secret": SECRET}, ["'none'"]),
    ({"algorithms": ["hs256"], "secret": SECRET}, ["'hs256'"]),
    ({"algorithms": ["HS256"]}, ["secret", "is missing"]),
    ({"algorithms": ["HS256"], "secret": "short"}, ["too short", "32"]),
    ({"algorithms": ["HS512"], "secret": SECRET}, ["too short", "64"]),
    ({"algorithms": ["RS256"], "secret": SECRET}, ["secret"]),
    ({"algorithms": ["RS256"], "key": "weak.pem"}, ["1024 bits", "2048"]),
    ({"algorithms": ["ES256"], "key": "p384.pem"}, ["fits none", "ES384"]),
    ({"algorithms": ["ES256", "RS256"], "key": "p256.pem"},
     ["no key for RS256"]),
    ({"algorithms": ["HS256"], "secret": {"file": "p256.pem"}}, ["PEM"]),
    ({"algorithms": ["ES256"], "key": "private.pem"}, ["private key"]),
    ({"algorithms": ["ES256"], "key": "nothing.pem"}, ["No such file"]),
    ({"algorithms": ["ES256"], "jwks": "broken.json"}, ["line 1"]),
    ({"algorithms": ["ES256"], "jwks": "empty.json"}, ["no key that fits"]),
    ({"algorithms": ["HS256"], "secret": SECRET, "leeway": "2h"},
     ["leeway"]),
])
def test_what_no_server_starts_with(corelane, keys, words):
    private = new_key()
    p384 = openssl("genpkey", "-algorithm", "EC", "-pkeyopt",
                   "ec_paramgen_curve:P-384")
    weak = openssl("genpkey", "-algorithm", "RSA", "-pkeyopt",
                   "rsa_keygen_bits:1024")
    srv = corelane({"routes": [say("/", {"use": "jwt", **keys})]}, files={
        "private.pem": private, "p256.pem": openssl("pkey", "-pubout",
                                                    data=private),
        "p384.pem": openssl("pkey", "-pubout", data=p384),
        "weak.pem": openssl("pkey", "-pubout", data=weak),
        "broken.json": "{", "empty.json": '{"keys": []}'}, start=False)
    code, _, err = srv.command("check")
    assert code == 1
    assert "routes[0].middleware[0]" in err
    for word in words:
        assert word in err, err


# -- corelane token -----------------------------------------------------------------

def claims_of(text):
    part = text.split(".")[1]
    return json.loads(base64.urlsafe_b64decode(part + "=" * (-len(part) % 4)))


def test_tokens_are_made_and_work(guarded):
    made = make_token(guarded)
    claims = claims_of(made)
    assert claims["sub"] == "me"
    assert claims["exp"] - claims["iat"] == 3600
    assert abs(claims["iat"] - time.time()) < 60
    assert guarded.get("/me", bearer(made)).status == 200
    assert claims_of(make_token(guarded, "--expires", "2m"))["exp"] - \
        claims["iat"] < 300


def test_what_claims_say_is_kept(guarded):
    code, out, _ = guarded.command("token", "--claims",
                                   ' {"exp":1,"iat":2,"big":12345678901234567890} ')
    assert code == 0
    part = out.split(".")[1]
    assert base64.urlsafe_b64decode(part + "=" * (-len(part) % 4)) == \
        b' {"exp":1,"iat":2,"big":12345678901234567890}'
    code, out, _ = guarded.command("token", "--claims", "{}")
    assert code == 0 and set(claims_of(out)) == {"iat", "exp"}


@pytest.mark.parametrize("words, code, says", [
    ([], 2, "--claims"),
    (["--claims", "{"], 1, "--claims: column 2"),
    (["--claims", "[]"], 1, "must be an object"),
    (["--claims", '{"a":1,"a":2}'], 1, "--claims"),
    (["--claims", "{}", "--expires", "soon"], 1, "--expires"),
    (["--claims", "{}", "more"], 2, "too many"),
])
def test_token_says_what_is_wrong(guarded, words, code, says):
    got, out, err = guarded.command("token", *words)
    assert (got, out) == (code, "")
    assert says in err


def test_token_without_a_jwt(corelane):
    srv = corelane({"routes": [say("/", jwt()), say("/other")]}, start=False)
    assert srv.command("token", "--claims", "{}", "--route", "/")[0] == 0
    code, _, err = srv.command("token", "--claims", "{}", "--route", "/other")
    assert code == 1 and '"jwt"' in err


# -- passwords ---------------------------------------------------------------------

LIBCRYPT = ctypes.CDLL("libcrypt.so.1")
LIBCRYPT.crypt.restype = ctypes.c_char_p


def crypt(password, setting):
    return LIBCRYPT.crypt(password.encode(), setting.encode()).decode()


BCRYPT = crypt("bcrypt's", "$2b$04$abcdefghijklmnopqrstuu")
SHA512 = crypt("sha's", "$6$rounds=1000$saltsalt$")
YESCRYPT = crypt("yes", "$y$j75$saltsalt")
USERS = {"bea": BCRYPT, "sam": SHA512}


@pytest.fixture(scope="module")
def locked():
    assert "*" not in BCRYPT + SHA512 + YESCRYPT
    auth = {"use": "basic_auth", "realm": "club", "users": USERS,
            "file": "users"}
    server = Corelane({
        "workers": 1,
        "routes": [
            say("/club", auth),
            say("/slow", {**auth, "cache": "0s"}),
            {"path": "/echo", "handler": "echo", "middleware": [auth]},
        ],
    }, files={"users": f"# more\n\nyves:{YESCRYPT}\n"}).start()
    yield server
    problems = server.finish()
    assert not problems, "\n".join(problems)


@pytest.mark.parametrize("user, password", [
    ("bea", "bcrypt's"), ("sam", "sha's"), ("yves", "yes")])
def test_a_right_password_comes_in(locked, user, password):
    for _ in range(3):
        for path in ("/club", "/slow"):
            r = locked.get(path, basic(user, password))
            assert (r.status, r.body) == (200, path.encode())


@pytest.mark.parametrize("user, password", [
    ("bea", "wrong"), ("bea", ""), ("", "bcrypt's"), ("nobody", "bcrypt's"),
    ("sam", "bcrypt's"), ("Bea", "bcrypt's"), ("bea", "bcrypt's "),
    ("bea", "bcrypt's\0"), ("bea\0", "bcrypt's"), ("be", "a:bcrypt's")])
def test_a_wrong_one_doesnt(locked, user, password):
    # Also when the right one is in the cache.
    assert locked.get("/club", basic("bea", "bcrypt's")).status == 200
    r = locked.get("/club", basic(user, password))
    assert r.status == 401
    assert r["WWW-Authenticate"] == 'Basic realm="club", charset="UTF-8"'


@pytest.mark.parametrize("value", [
    "Basic", "Basic !!!", "Basic YmVh", "Basic OnB3", "Bearer YmVhOng=",
    "Basic " + "YWFh" * 1000])
def test_what_are_no_credentials(locked, value):
    assert locked.get("/club", [("Authorization", value)]).status == 401


def test_content_waits_for_the_password(locked):
    body = os.urandom(300000)
    for user, status in (("bea", 200), ("nobody", 401)):
        r = locked.request("POST", "/echo", basic(user, "bcrypt's"), body)
        assert r.status == status
        if status == 200:
            assert r.body == body


def test_pipelined_requests_keep_their_order(locked):
    with locked.connect() as c:
        for user in ("bea", "nobody", "bea"):
            name, value = basic(user, "bcrypt's")[0]
            c.send(f"GET /slow HTTP/1.1\r\nHost: t\r\n{name}: {value}\r\n\r\n"
                   .encode())
        assert [c.response().status for _ in range(3)] == [200, 401, 200]


def test_clients_that_leave_take_nothing_along(corelane):
    slow = crypt("slow", "$2b$11$abcdefghijklmnopqrstuu")
    srv = corelane({"workers": 1, "offload_threads": 1, "routes": [
        say("/", {"use": "basic_auth", "users": {"a": slow}}), say("/free")]})
    name, value = basic("a", "slow")[0]
    for _ in range(5):
        clients = [srv.connect() for _ in range(4)]
        for c in clients:
            c.send(f"GET / HTTP/1.1\r\nHost: t\r\n{name}: {value}x\r\n\r\n"
                   .encode())
        assert srv.get("/free").status == 200
        for c in clients:
            c.abort()
    assert srv.get("/", basic("a", "slow")).status == 200


def test_changed_users_are_taken(corelane):
    srv = corelane({"workers": 1, "routes": [
        say("/", {"use": "basic_auth", "file": "users"})]},
        files={"users": f"bea:{BCRYPT}\n"})
    bea, sam = basic("bea", "bcrypt's"), basic("sam", "sha's")
    assert srv.get("/", bea).status == 200
    srv.write("users", "bea:plain\n")
    wait_until(lambda: srv.get("/", bea).status == 200 and
               "the users before it stay" in srv.log(), "the complaint")
    srv.write("users", f"sam:{SHA512}\n")
    wait_until(lambda: srv.get("/", sam).status == 200, "the new user")
    # Who is no longer there isn't remembered either.
    assert srv.get("/", bea).status == 401


@pytest.mark.parametrize("keys, words", [
    ({}, ["users", "nobody"]),
    ({"users": {"a": "secret"}}, ["'a'", "mkpasswd -m bcrypt"]),
    ({"users": {"a": "$apr1$abcdefgh$0123456789012345678901"}}, ["htpasswd"]),
    ({"users": {"a": "$1$abcdefgh$0123456789012345678901"}}, ["htpasswd"]),
    ({"users": {"a": "abJnggxhB/yWI"}}, ["htpasswd"]),
    ({"users": {"a": "{SHA}qUqP5cyxm6YcTAhz05Hph5gvu9M="}}, ["htpasswd"]),
    ({"users": {"a": "$2b$"}}, ["isn't whole"]),
    ({"users": {"a:b": BCRYPT}}, ["colon"]),
    ({"file": "users"}, ["line 2", "colon"]),
    ({"file": "twice"}, ["'a'", "twice"]),
    ({"file": "empty"}, ["no user"]),
    ({"users": {"a": BCRYPT}, "realm": 'x"y'}, ["realm"]),
])
def test_hashes_that_are_refused(corelane, keys, words):
    srv = corelane({"routes": [say("/", {"use": "basic_auth", **keys})]},
                   files={"users": "# a\nnonsense\n", "empty": "\n",
                          "twice": f"a:{BCRYPT}\na:{BCRYPT}\n"}, start=False)
    code, _, err = srv.command("check")
    assert code == 1
    for word in words:
        assert word in err, err
    assert BCRYPT not in err


def test_secrets_are_not_printed(guarded, locked):
    for srv, secret in ((guarded, SECRET), (locked, BCRYPT)):
        code, out, _ = srv.command("check", "--print")
        assert code == 0 and secret not in out and '"***"' in out
