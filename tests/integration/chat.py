# SPDX-License-Identifier: MIT
"""What the tests of the chat module share: its configuration, as shipped, and
which worker has how many WebSockets."""
from corelane import module_path, wait_until

ROOM_RULES = [
    {"match": "chat.room.*", "subscribe": "nobody", "publish": "nobody",
     "history": {"messages": 500, "age": "24h"}},
    {"match": "chat.live.*", "subscribe": "nobody", "publish": "nobody",
     "history": {"messages": 0}, "presence": "members", "join_leave": True},
]


def chat_config(**config):
    return {
        "workers": 2,
        # The page must work under these.
        "middleware": [{"use": "security_headers"}],
        "modules": [{"name": "chat", "file": module_path("chat"),
                     "config": config}],
        "channels": ROOM_RULES, "routes": []}


def websockets_by_worker(srv):
    """{pid: open WebSockets} of the living workers."""
    return {w["pid"]: w["websockets_active"] for w in srv.stats()["workers"]}


def wait_websockets(srv, total):
    """The same once there are so many."""
    def counted():
        counts = websockets_by_worker(srv)
        return counts if sum(counts.values()) == total else None
    return wait_until(counted, f"{total} WebSockets to be counted")
