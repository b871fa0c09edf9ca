# SPDX-License-Identifier: MIT
"""Declared values and errors from outside: what /openapi.json says is what the
server does."""
import json
import re

import jsonschema
import pytest

from apps import serving
from corelane import module_path

# As much of OpenAPI 3.1's own schema as the server uses.
REFERENCE = {"type": "object", "required": ["$ref"],
             "properties": {"$ref": {"pattern": "^#/components/"}},
             "additionalProperties": False}
OPERATION = {
    "type": "object",
    "required": ["responses"],
    "additionalProperties": False,
    "properties": {
        "summary": {"type": "string"},
        "tags": {"type": "array", "items": {"type": "string"}},
        "servers": {"type": "array", "items": {
            "type": "object", "required": ["url"]}},
        "parameters": {"type": "array", "items": {
            "type": "object",
            "required": ["name", "in", "schema"],
            "additionalProperties": False,
            "properties": {
                "name": {"type": "string"},
                "in": {"enum": ["path", "query", "header"]},
                "required": {"type": "boolean"},
                "description": {"type": "string"},
                "schema": {"type": "object"}},
            "if": {"properties": {"in": {"const": "path"}}},
            "then": {"required": ["required"],
                     "properties": {"required": {"const": True}}}}},
        "requestBody": {
            "type": "object", "required": ["content"],
            "properties": {"content": {
                "type": "object", "minProperties": 1,
                "additionalProperties": {
                    "type": "object", "required": ["schema"]}}}},
        "responses": {
            "type": "object", "minProperties": 1,
            "propertyNames": {"pattern": "^([1-5][0-9][0-9]|default)$"},
            "additionalProperties": {"oneOf": [
                REFERENCE, {"type": "object", "required": ["description"]}]}},
        "security": {"type": "array", "items": {"type": "object"}},
    }}
METHODS = ["get", "put", "post", "delete", "options", "head", "patch", "trace"]
DOCUMENT = {
    "type": "object",
    "required": ["openapi", "info", "paths"],
    "properties": {
        "openapi": {"pattern": r"^3\.1\.\d+$"},
        "info": {"type": "object", "required": ["title", "version"]},
        "paths": {
            "type": "object", "propertyNames": {"pattern": "^/"},
            "additionalProperties": {
                "type": "object", "propertyNames": {"enum": METHODS},
                "additionalProperties": OPERATION}}}}


def configuration(**module):
    return {"workers": 1,
            "modules": [{"name": "declared", "prefix": "/v1",
                         "file": module_path("declared"), **module}],
            "routes": [{"path": "/bound/{id}", "methods": ["GET"],
                        "handler": "declared.item"},
                       {"path": "/new", "handler": "declared.item_new",
                        "methods": ["POST"]},
                       {"path": "/files/{path:.*}", "handler": "static",
                        "root": "."}]}


@pytest.fixture(scope="module")
def server():
    with serving(configuration()) as running:
        yield running


@pytest.fixture(scope="module")
def document(server):
    answer = server.get("/openapi.json", port=server.admin_port)
    assert answer.status == 200
    assert answer["content-type"] == "application/json"
    return json.loads(answer.body)


def schemas(value):
    """Every schema of the document."""
    if isinstance(value, dict):
        for key, inner in value.items():
            if key == "schema":
                yield inner
            yield from schemas(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from schemas(inner)


def test_the_document_is_openapi(document):
    jsonschema.Draft202012Validator(DOCUMENT).validate(document)
    for schema in schemas(document):
        jsonschema.Draft202012Validator.check_schema(schema)


def test_references_lead_somewhere(document):
    for name in set(re.findall(r'"\$ref": "#/([^"]+)"', json.dumps(document))):
        place = document
        for key in name.split("/"):
            place = place[key]


def test_a_path_declares_all_its_parameters(document):
    for path, item in document["paths"].items():
        for operation in item.values():
            declared = [p["name"] for p in operation.get("parameters", [])
                        if p["in"] == "path"]
            assert declared == re.findall(r"\{(\w+)\}", path), path


def test_a_bound_handler_brings_its_declaration(document):
    own = document["paths"]["/v1/items/{id}"]["get"]
    bound = document["paths"]["/bound/{id}"]["get"]
    assert bound["parameters"] == own["parameters"]
    assert bound["summary"] == own["summary"] == "One item"


def parameter(document, name):
    operation = document["paths"]["/v1/items/{id}"]["get"]
    return next(p for p in operation["parameters"] if p["name"] == name)


@pytest.mark.parametrize("value", ["1", "99999", "0", "-1", "1.5", "x",
                                   "9223372036854775808"])
def test_a_path_is_taken_as_the_document_says(server, document, value):
    schema = parameter(document, "id")["schema"]
    typed = int(value) if re.fullmatch("-?[0-9]+", value) else value
    good = (jsonschema.Draft202012Validator(schema).is_valid(typed)
            and value != "9223372036854775808")      # format: int64
    assert server.get(f"/v1/items/{value}").status == (200 if good else 400)


CONTENTS = [{"name": "a"}, {"name": ""}, {}, {"name": 7}, [], {"name": "a" * 21},
            {"name": "\u00e4" * 20, "count": 10}, {"name": "a", "count": 11},
            {"name": "a", "count": 1.5}, {"name": "a", "count": "1"},
            {"name": "a", "tags": [1, {}], "other": None}]


@pytest.mark.parametrize("content", CONTENTS, ids=json.dumps)
def test_content_is_taken_as_the_document_says(server, document, content):
    body = document["paths"]["/v1/items"]["post"]["requestBody"]
    schema = body["content"]["application/json"]["schema"]
    good = jsonschema.Draft202012Validator(schema).is_valid(content)
    answer = server.request("POST", "/v1/items",
                            {"Content-Type": "application/json"},
                            json.dumps(content).encode())
    assert (answer.status == 201) == good, answer.body
    if not good:
        assert answer.status in (400, 422)
        error = json.loads(answer.body)["error"]
        assert error["message"] and error["request_id"]
        if isinstance(content, dict):
            assert error["code"] == "VALIDATION_FAILED"
            assert error["field"] in schema["properties"]


@pytest.mark.parametrize("path", ["/v1/items", "/new"])
def test_a_handler_s_own_limit_holds_wherever_it_is_bound(server, path):
    fits = b'{"name": "a", "x": "' + b"x" * 4000 + b'"}'
    for body, status in ((fits, 201), (fits + b" " * 1000, 413)):
        answer = server.request(
            "POST", path, {"Content-Type": "application/json"}, body)
        assert answer.status == status


def test_errors_have_one_shape(server):
    for how, status, code in (("plain", 409, "CONFLICT"),
                              ("field", 400, "VALIDATION_FAILED"),
                              ("later", 503, "BUSY"),
                              ("errno", 500, "INTERNAL_ERROR")):
        answer = server.get(f"/v1/fail/{how}")
        assert answer.status == status
        assert json.loads(answer.body)["error"]["code"] == code
        assert b"nput/output" not in answer.body     # is the log's
        answer = server.get(f"/v1/fail/{how}",
                            {"Accept": "application/problem+json"})
        assert answer["content-type"] == "application/problem+json"
        problem = json.loads(answer.body)
        assert problem["status"] == status and problem["code"] == code
        assert problem["instance"] == f"/v1/fail/{how}"
    assert server.get("/v1/fail/later")["retry-after"] == "7"
    assert "Input/output error" in server.log()


def test_a_module_shapes_errors(server):
    with serving(configuration(config={"shape": True})) as shaping:
        assert shaping.get("/v1/items/x").body == (
            b"400 VALIDATION_FAILED must be a whole number of at least 1")
        assert shaping.get("/nowhere").body.startswith(b"404 NOT_FOUND ")
        assert shaping.get("/nowhere", port=shaping.admin_port
                           ).body.startswith(b'{"error"')


SECRET = "a-secret-of-the-tests-0123456789abcdef"


def test_the_document_says_who_wants_credentials():
    token = {"use": "jwt", "algorithms": ["HS256"], "secret": SECRET}
    say = {"handler": "respond", "methods": ["GET", "POST"]}
    with serving({"workers": 1, "routes": [
            {"path": "/writes", "middleware": [{**token, "methods": ["POST"]}],
             **say},
            {"path": "/maybe", "middleware": [{**token, "required": False}],
             **say},
            {"path": "/limited", "middleware": [
                {"use": "rate_limit", "requests": 5, "per": "1s"}], **say},
            {"path": "/open", **say}]}) as guarded:
        answer = guarded.get("/openapi.json", port=guarded.admin_port)
        paths = json.loads(answer.body)["paths"]
        assert guarded.get("/writes").status == 200
        assert guarded.request("POST", "/writes").status == 401
    assert paths["/writes"]["post"]["security"] == [{"jwt": []}]
    assert "401" in paths["/writes"]["post"]["responses"]
    assert "security" not in paths["/writes"]["get"]
    assert "401" not in paths["/writes"]["get"]["responses"]
    assert paths["/maybe"]["get"]["security"] == [{"jwt": []}, {}]
    assert "429" in paths["/limited"]["get"]["responses"]
    assert "security" not in paths["/open"]["post"]


def test_the_document_is_the_operator_s(server):
    assert server.get("/openapi.json").status == 404
