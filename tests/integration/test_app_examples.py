# SPDX-License-Identifier: MIT
"""The examples beside the application: ten lines of C, and C++."""
import json
import os

import pytest

from apps import serving
from corelane import binary

CPP = os.path.join(os.path.dirname(os.path.realpath(binary())), "modules",
                   "example_cpp.so")


@pytest.fixture(scope="module")
def examples():
    modules = [{"name": "hello", "file": "hello.so"}]
    if os.path.exists(CPP):
        modules.append({"name": "example_cpp", "file": "example_cpp.so"})
    with serving({"modules": modules}) as server:
        yield server


@pytest.fixture
def cpp(examples):
    if not os.path.exists(CPP):
        pytest.skip("built without a C++ compiler")
    return examples


@pytest.mark.parametrize("path, name", [
    ("Ada", "Ada"), ("Zo%C3%AB", "Zoë"), ("a%20b", "a b"), ("%3Cb%3E", "<b>")])
def test_hello(examples, path, name):
    answer = examples.get("/hello/" + path)
    assert answer.status == 200
    assert answer["content-type"] == "text/plain; charset=utf-8"
    assert answer.body.decode() == f"Hello, {name}!\n"


def test_words_are_counted_in_cpp(cpp):
    answer = cpp.request("POST", "/words", {}, b"To be or  not\nto BE")
    assert answer.status == 200
    assert json.loads(answer.body) == {"be": 2, "not": 1, "or": 1, "to": 2}


@pytest.mark.parametrize("body", [b"", b"   \n\t "])
def test_an_exception_becomes_an_answer(cpp, body):
    answer = cpp.request("POST", "/words", {}, body)
    assert answer.status == 400
    assert json.loads(answer.body)["error"]["message"] == \
        "there is no word in it"


def test_any_bytes_are_counted(cpp):
    answer = cpp.request("POST", "/words", {}, bytes(range(256)) * 8)
    assert answer.status == 200
    json.loads(answer.body)
