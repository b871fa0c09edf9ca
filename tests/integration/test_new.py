# SPDX-License-Identifier: MIT
"""`corelane new`: the module that it makes builds, passes its own tests, and
serves, by the commands that it prints."""
import json
import os
import re
import subprocess

import pytest

from corelane import Corelane, binary


def new(folder):
    return subprocess.run([binary(), "new", str(folder)], capture_output=True,
                          text=True, timeout=60)


def run(command, folder):
    """One of the printed commands, with what a sanitized server asks of the
    modules that are linked with it."""
    with open(binary(), "rb") as f:
        sanitized = b"__asan_report_load" in f.read()
    if sanitized and "meson setup" in command:
        command = command.replace(
            "meson setup build", "meson setup build "
            "-Db_sanitize=address,undefined -Db_lundef=false")
    done = subprocess.run(command, shell=True, cwd=folder, timeout=300,
                          capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr


def test_a_new_module_builds_passes_its_tests_and_serves(tmp_path, corelane):
    folder = tmp_path / "shop"
    made = new(folder)
    assert made.returncode == 0, made.stderr
    commands = [line.strip() for line in made.stdout.splitlines()
                if line.startswith("    ")]
    assert commands[0] == f"cd {folder}"
    build = next(c for c in commands if c.startswith("meson setup"))
    readme = (folder / "README.md").read_text()
    assert build.split(" && ")[0] in readme
    run(build, folder)
    assert any(c.endswith("run -c corelane.json") for c in commands)

    text = (folder / "corelane.json").read_text()
    config = json.loads(re.sub(r"^\s*//.*$", "", text, flags=re.M))
    config["modules"][0]["file"] = str(folder / "build" / "shop.so")
    del config["listen"], config["admin"]
    srv = corelane(config)
    answer = srv.get("/shop/hello/Ada?times=2")
    assert json.loads(answer.body) == {"greetings": ["Hello, Ada!"] * 2}
    assert srv.get("/hi/Ada").status == 200
    assert srv.get("/shop/hello/Ada?times=0").status == 400


def test_what_is_there_is_not_written_over(tmp_path):
    folder = tmp_path / "shop"
    assert new(folder).returncode == 0
    before = (folder / "shop.c").read_text()
    again = new(folder)
    assert again.returncode == 1 and "File exists" in again.stderr
    assert (folder / "shop.c").read_text() == before


@pytest.mark.parametrize("name", ["My-Shop", "7up", "a b", "x" * 41])
def test_a_name_that_c_cant_have_is_refused(tmp_path, name):
    made = new(tmp_path / name)
    assert made.returncode == 1 and "can't name a module" in made.stderr
    assert not (tmp_path / name).exists()


def test_a_folder_that_cant_be_made_is_told(tmp_path):
    made = new(tmp_path / "absent" / "shop")
    assert made.returncode == 1 and "No such file" in made.stderr


def test_its_configuration_is_valid_as_it_stands(tmp_path):
    folder = tmp_path / "plain"
    assert new(folder).returncode == 0
    srv = Corelane((folder / "corelane.json").read_text())
    code, _, err = srv.command("check")
    assert code == 1 and "plain.so" in err      # it isn't built yet
    assert len(err.strip().splitlines()) == 1
    os.remove(srv.config_file)
