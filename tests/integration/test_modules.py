# SPDX-License-Identifier: MIT
"""Modules from outside: loaded by real workers, checked, started, replaced,
and what is said of those that can't be."""
import os
import shutil
import signal

import pytest

from corelane import module_path, wait_until


def with_module(name, routes=(), **extra):
    """A configuration with one module of the tests' own."""
    return {"modules": [{"name": name, "file": module_path(name), **extra}],
            "routes": list(routes)}


# -- serving ------------------------------------------------------------------

def test_a_module_serves_where_it_says_and_where_it_is_bound(corelane):
    srv = corelane(with_module("life", prefix="/m", routes=[
        {"path": "/bound/{id}", "handler": "life.ok"}]))
    assert srv.get("/m/life").status == 204
    assert srv.get("/bound/7").status == 204
    assert srv.get("/life").status == 404


def test_its_own_routes_can_be_left_out(corelane):
    config = with_module("life", routes=[
        {"path": "/bound", "handler": "life.ok"}])
    config["modules"][0]["routes"] = False
    srv = corelane(config)
    assert srv.get("/bound").status == 204
    assert srv.get("/life").status == 404


def test_a_bare_name_is_found_beside_the_configuration(corelane):
    srv = corelane({"modules": [{"name": "life", "file": "near.so"}]},
                   start=False)
    shutil.copy(module_path("life"), srv.path("near.so"))
    srv.start()
    assert srv.get("/life").status == 204


def test_the_route_table_has_the_modules_routes(corelane):
    srv = corelane(with_module("life", prefix="/m", middleware=[
        {"use": "response_time"}]))
    code, out, err = srv.command("routes")
    assert code == 0, err
    line = next(line for line in out.splitlines() if "/m/life" in line)
    assert "life.ok" in line and "response_time" in line
    columns = {line.index("response_time") for line in out.splitlines()
               if "/m/" in line}
    assert len(columns) == 1, out


def test_check_counts_the_modules(corelane):
    srv = corelane(with_module("life"))
    code, out, err = srv.command("check")
    assert code == 0, err
    assert ", 0 routes, 1 module" in out


# -- what can't be loaded -----------------------------------------------------

REFUSALS = [
    ("no such file", {"file": "./absent.so"}, "modules[0].file: can't be "
     "loaded: "),
    ("a bare name that is nowhere", {"file": "absent.so"},
     "modules[0].file: 'absent.so' is neither beside this file nor in "),
    ("another ABI", {"file": "abi"}, "was built for ABI 4711 of the module "
     "API, this server has "),
    ("no module at all", {"file": "stranger"}, "is no module: it has no "
     "lane_module"),
    ("an unknown call", {"file": "undefined"}, "undefined symbol: "
     "lane_from_the_future"),
    ("init that fails", {"file": "life", "config": {"init": "fail"}},
     "modules[0].config.init: was told to fail"),
    ("a key that it doesn't know", {"file": "life", "config":
                                    {"jurnal": "x"}}, '"journal"'),
    ("a value of another type", {"file": "life", "config": {"init": 7}},
     "modules[0].config.init: "),
]


@pytest.mark.parametrize("name,module,text", REFUSALS,
                         ids=[r[0] for r in REFUSALS])
def test_a_module_that_cant_be_loaded_stops_check_start_and_reload(
        corelane, name, module, text):
    file = module["file"]
    if "/" not in file and "." not in file:
        module = module | {"file": module_path(file)}
    bad = {"modules": [{"name": "m", **module}], "routes": []}
    srv = corelane({})
    srv.configure(bad)
    code, _, err = srv.command("check")
    assert code == 1 and text in err, err
    assert ":" in err.split("modules[0]")[0]     # file:line:column
    code, _, err = srv.command("reload")
    assert code == 1 and text in err, err
    assert srv.get("/hello").status == 200
    srv.configure({})
    second = corelane(bad, start=False, exit_code=1)
    second.start(wait=False)
    assert second.wait_exit() == 1
    assert text in second.log()


def test_a_module_that_crashes_the_check_is_a_finding(corelane):
    srv = corelane({})
    srv.configure(with_module("life", config={"init": "crash"}))
    code, _, err = srv.command("check")
    assert code == 1
    assert "killed by SIGABRT" in err or "AddressSanitizer" in err, err


def test_an_unknown_handler_is_told_with_its_place(corelane):
    srv = corelane({})
    srv.configure(with_module("life", routes=[
        {"path": "/x", "handler": "life.absent"}]))
    code, _, err = srv.command("check")
    assert code == 1 and "there is no handler 'life.absent'" in err, err


# -- hooks --------------------------------------------------------------------

def journal(path):
    if not os.path.exists(path):
        return []
    with open(path, encoding="ascii") as f:
        return f.read().split("\n")[:-1]


def test_the_hooks_run_once_in_every_worker(corelane, tmp_path):
    path = str(tmp_path / "journal")
    srv = corelane(with_module("life", config={"journal": path}), workers=2)
    assert sorted(journal(path)) == ["init", "init", "start", "start"]
    srv.stop()
    assert sorted(journal(path))[:2] == ["fini", "fini"]
    assert journal(path).count("stop") == 2


@pytest.mark.parametrize("how,text", [
    ("fail", "module life: on_worker_start: Host is down"),
    ("leak", "module life: on_worker_start: returned LANE_ASYNC with nothing "
     "under way"),
    ("sql", "module life: on_worker_start returned 500")])
def test_a_start_hook_that_fails_stops_the_start(corelane, how, text):
    config = with_module("life", config={"start": how})
    config["databases"] = {"main": {"url": "sqlite::memory:"}}
    srv = corelane(config, start=False, exit_code=1)
    srv.start(wait=False)
    assert srv.wait_exit() == 1
    assert text in srv.log()


def test_a_database_that_cant_be_opened_is_told_with_its_path(corelane):
    config = with_module("life", config={"start": "sql"})
    config["databases"] = {"main": {"url": "sqlite:/nowhere/at.db"}}
    srv = corelane(config, start=False, exit_code=1)
    srv.start(wait=False)
    assert srv.wait_exit() == 1
    assert "/nowhere/at.db: unable to open database file" in srv.log()
    assert "module life: on_worker_start returned 503" in srv.log()


def test_a_failing_start_hook_fails_a_reload_without_harm(corelane):
    srv = corelane(with_module("life"))
    srv.configure(with_module("life", config={"start": "fail"}))
    code, _, err = srv.command("reload")
    assert code == 1 and "on_worker_start" in err
    assert srv.get("/life").status == 204


def test_the_next_worker_hears_of_a_crash(corelane, tmp_path):
    path = str(tmp_path / "journal")
    srv = corelane(with_module("life", config={"journal": path}), workers=1,
                   crashes_ok=True)
    os.kill(srv.worker_pids()[0], signal.SIGKILL)
    wait_until(lambda: "crash worker 0 signal 9" in journal(path),
               "the crash to be reported")
    assert srv.get("/life").status == 204


def test_a_module_that_isnt_there_is_told_where_its_file_is_named(corelane):
    srv = corelane({}, start=False)
    with open(srv.config_file, "w", encoding="ascii") as f:
        f.write('{\n  "modules": [\n    { "name": "near",\n'
                '      "file": "./absent.so" }\n  ]\n}\n')
    code, _, err = srv.command("check")
    assert code == 1
    assert ":4:15: modules[0].file: can't be loaded: " in err


# -- mistakes of a handler, told in the log -----------------------------------

@pytest.mark.parametrize("target,status,text", [
    ("/seven", 500, "life.seven: returned 7, which is neither a status nor an "
     "errno"),
    ("/undeclared", 200, "the handler asks for a value 'absent' that its "
     "route doesn't declare"),
    ("/mistyped?word=x", 200, "the handler asks for a value 'word' that its "
     "route declares as another type"),
    ("/no_done", 500, "lane_sql: .done is missing")])
def test_a_handlers_mistake_is_named(corelane, target, status, text):
    srv = corelane(with_module("life"))
    assert srv.get(target).status == status
    wait_until(lambda: text in srv.log(), f"'{text}' in the log")


def test_a_value_that_isnt_given_is_no_mistake(corelane):
    srv = corelane(with_module("life"))
    assert srv.get("/mistyped").body == b"0"
    assert "asks for a value" not in srv.log()


# -- the loop -----------------------------------------------------------------

def test_a_handler_that_holds_the_loop_is_named(corelane):
    srv = corelane(with_module("life"), workers=1)
    assert srv.get("/stall").status == 204
    wait_until(lambda: "life.stall held the loop for" in srv.log(),
               "the stall to be told")
    assert "GET /stall" in srv.log()


# -- new code -----------------------------------------------------------------

def test_a_reload_brings_new_code(corelane):
    srv = corelane({"modules": [{"name": "m", "file": "./m.so"}],
                    "routes": [{"path": "/x", "handler": "m.ok"}]},
                   start=False)
    shutil.copy(module_path("life"), srv.path("m.so"))
    srv.start()
    assert srv.get("/x").status == 204
    # As a linker does it: a new file under the old name.
    shutil.copy(module_path("other"), srv.path("m.so.new"))
    os.rename(srv.path("m.so.new"), srv.path("m.so"))
    code, _, err = srv.command("reload")
    assert code == 0, err
    assert srv.get("/x").status == 202


def test_new_code_without_a_bound_handler_fails_the_reload(corelane):
    srv = corelane(with_module("life"))
    srv.configure(with_module("life", routes=[
        {"path": "/x", "handler": "life.absent"}]))
    code, _, err = srv.command("reload")
    assert code == 1
    assert "route '/x': there is no handler 'life.absent'" in err
    assert srv.get("/life").status == 204
