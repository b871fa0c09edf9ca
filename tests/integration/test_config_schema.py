# SPDX-License-Identifier: MIT
"""The schema that editors use, held against an independent validator.

The loader is stricter: what it takes the schema takes, and what the schema
refuses the loader refuses too.
"""
import json
import os
import subprocess

import jsonschema
import pytest

import corelane

SHIPPED = os.path.join(corelane.ROOT, "config", "corelane.json")
SCHEMA = os.path.join(corelane.ROOT, "config", "corelane.schema.json")


def run(*words, text=None):
    done = subprocess.run([corelane.binary(), *words], input=text,
                          capture_output=True, text=True, timeout=30)
    return done.returncode, done.stdout, done.stderr


def loads_strictly(text):
    """JSON, and no key of an object twice."""
    def members(pairs):
        keys = [key for key, _ in pairs]
        assert len(keys) == len(set(keys)), keys
        return dict(pairs)
    return json.loads(text, object_pairs_hook=members)


def strip(text):
    """Without comments and trailing commas: a scanner of its own."""
    out, at = [], 0
    while at < len(text):
        if text[at] == '"':
            end = at + 1
            while text[end] != '"':
                end += 2 if text[end] == "\\" else 1
            out.append(text[at:end + 1])
            at = end + 1
        elif text.startswith("//", at):
            end = text.find("\n", at)
            at = len(text) if end == -1 else end
        elif text.startswith("/*", at):
            at = text.index("*/", at) + 2
        else:
            if text[at] in "]}":
                while out and out[-1].isspace():
                    out.pop()
                if out and out[-1] == ",":
                    out.pop()
            out.append(text[at])
            at += 1
    return "".join(out)


@pytest.fixture(scope="module")
def validator():
    with open(SCHEMA, encoding="utf-8") as f:
        schema = loads_strictly(f.read())
    jsonschema.Draft202012Validator.check_schema(schema)
    return jsonschema.Draft202012Validator(schema)


def is_loaded(document):
    return run("check", "-c", "-", text=json.dumps(document))[0] == 0


def test_the_shipped_schema_is_what_the_binary_prints():
    code, printed, _ = run("schema")
    assert code == 0
    with open(SCHEMA, encoding="utf-8") as f:
        assert f.read() == printed


def test_the_shipped_configuration_follows_the_schema(validator):
    with open(SHIPPED, encoding="utf-8") as f:
        validator.validate(loads_strictly(strip(f.read())))


def test_what_check_prints_follows_the_schema(validator):
    code, printed, errors = run("check", "--print", "-c", SHIPPED)
    assert code == 0, errors
    validator.validate(loads_strictly(printed))


def respond(**keys):
    return {"routes": [{"path": "/", "handler": "respond", **keys}]}


GOOD = {
    "nothing": {},
    "numbers and auto": {"workers": 3, "max_workers": "auto"},
    "null": {"admin": None, "access_log": None, "user": None,
             "tcp": {"linger": None}},
    "sizes": {"limits": {"body_bytes": "16MiB", "target_bytes": 512}},
    "durations": {"timeouts": {"head": "250ms", "idle": "1h"}},
    "variables": {"workers": "${NO_SUCH:-2}", "cpu_affinity":
                  "${NO_SUCH:-true}", "log": {"level": "${NO_SUCH:-warn}"},
                  "timeouts": {"head": "${NO_SUCH:-3}s"},
                  "limits": {"body_bytes": "${NO_SUCH:-4}KiB"}},
    "channels": {"cluster": None, "channels": [
        {"match": "room.*", "history": {"messages": 0}, "publish": "token",
         "presence": "members", "join_leave": True}]},
    "no modules": {"modules": []},
    "a route's limit": {"routes": [
        {"path": "/", "handler": "echo", "body_bytes": "2MiB"},
        {"path": "/b", "handler": "echo", "body_bytes": None}]},
    "databases": {"databases": {
        "main": {"url": "sqlite:run/x.db", "connections": 2, "queue": 10,
                 "timeout": "1s", "connect": "100ms"},
        "pg": {"url": "postgresql://me:pw@host:5432/db?x=y"},
        "env": {"url": "${NO_SUCH:-sqlite:x}"}}},
    "tls of later builds": {"listen": [{"address": ":0", "tls": None}]},
    "a body": respond(body="text"),
    "data": respond(json={"any": ["thing", 1, None]}),
    "middleware": {"middleware": [{"use": "cors", "origins": ["*"]},
                                  {"use": "timeout", "after": "auto"}]},
}

BAD = {
    "a list": [],
    "an unknown key": {"wrokers": 1},
    "an unknown key in a section": {"timeouts": {"haed": "1s"}},
    "too few workers": {"workers": 0},
    "too many workers": {"workers": 121},
    "a fraction": {"workers": 1.5},
    "a word where a number is due": {"workers": "many"},
    "a number where a duration is due": {"timeouts": {"head": 10}},
    "a duration without a unit": {"timeouts": {"head": "10"}},
    "a duration with a space": {"timeouts": {"head": "10 s"}},
    "a size of another system": {"limits": {"body_bytes": "16KB"}},
    "a size with a space": {"limits": {"body_bytes": "16 KiB"}},
    "a size below the least": {"buffers": {"read": 1}},
    "a flag in quotes": {"cpu_affinity": "yes"},
    "an unknown level": {"log": {"level": "loud"}},
    "null for a section": {"log": None},
    "no listener": {"listen": []},
    "no address": {"listen": [{}]},
    "a null address": {"admin": {"address": None}},
    "tls for the admin address": {"admin": {"address": ":0", "tls": None}},
    "a module without a file": {"modules": [{"name": "api"}]},
    "a module's config that is a list": {"modules": [
        {"name": "api", "file": "a", "config": []}]},
    "an unknown key for a module's handler": {"routes": [
        {"path": "/", "handler": "api.users", "root": "x"}]},
    "a database without a url": {"databases": {"main": {}}},
    "a database of another kind": {"databases": {"main": {"url": "mysql:x"}}},
    "a list of databases": {"databases": [{"url": "sqlite:x"}]},
    "no handler": {"routes": [{"path": "/"}]},
    "no path": {"routes": [{"handler": "echo"}]},
    "an unknown handler": {"routes": [{"path": "/", "handler": "eco"}]},
    "another handler's key": {"routes": [
        {"path": "/", "handler": "echo", "body": "x"}]},
    "a body that is no text": respond(body=5),
    "a file that is no path": respond(body={"file": 5}),
    "a file and more": respond(body={"file": "x", "mode": 1}),
    "a status that isn't final": respond(status=100),
    "no methods": respond(methods=[]),
    "an unknown method": respond(methods=["GRAB"]),
    "a header that is no text": respond(headers={"A": 1}),
    "a status that is no redirect": {"routes": [
        {"path": "/", "handler": "redirect", "to": "/", "status": 200}]},
    "no root": {"routes": [{"path": "/", "handler": "static"}]},
    "an unknown middleware": {"middleware": [{"use": "core"}]},
    "another middleware's key": {"middleware": [
        {"use": "cors", "level": 1}]},
}


# What only a module itself can take or refuse.
MODULE = {
    "modules": [
        {"name": "api", "file": "api.so", "prefix": "/a", "routes": False,
         "middleware": [{"use": "cors"}], "config": {"any": [1, None]}}],
    "middleware": [{"use": "api.audit", "any": {"key": 1}}],
    "routes": [{"path": "/", "handler": "api.users"}],
}


def test_the_schema_leaves_a_module_its_keys(validator):
    validator.validate(MODULE)


@pytest.mark.parametrize("name", GOOD)
def test_schema_and_loader_take(validator, name):
    assert not [e.message for e in validator.iter_errors(GOOD[name])]
    assert is_loaded(GOOD[name])


@pytest.mark.parametrize("name", BAD)
def test_schema_and_loader_refuse(validator, name):
    assert not validator.is_valid(BAD[name])
    assert not is_loaded(BAD[name])
