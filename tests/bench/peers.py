# SPDX-License-Identifier: MIT
"""Other servers, set up for the same answers as ours: one process on one core,
no logs, no limits that would end a run, the fastest way each has.

Here: their command lines and configurations.  Not here: how they are measured.
"""

import os
import shutil

NGINX = """
daemon off; master_process on; worker_processes 1; user root;
pid {dir}/nginx.pid; error_log {dir}/nginx.log crit;
worker_rlimit_nofile 19000;
events {{ worker_connections 18000; multi_accept on; }}
http {{
  access_log off; sendfile on; tcp_nopush on;
  keepalive_timeout 600; keepalive_requests 1000000000;
  open_file_cache max=64 inactive=600s; open_file_cache_valid 600s;
  client_body_temp_path {dir}/body; proxy_temp_path {dir}/proxy;
  fastcgi_temp_path {dir}/fastcgi; uwsgi_temp_path {dir}/uwsgi;
  scgi_temp_path {dir}/scgi;
  server {{
    listen 127.0.0.1:{port} backlog=4096 reuseport; root {dir}/www;
    location = /plaintext {{
      default_type text/plain; return 200 "Hello, World!"; }}
    location = /json {{
      default_type application/json;
      return 200 '{{"message":"Hello, World!"}}'; }}
  }}
}}
"""

H2O = """
num-threads: 1
max-connections: 18000
http1-request-timeout: 600
error-log: {dir}/h2o.log
user: root
hosts:
  default:
    listen: {{ host: 127.0.0.1, port: {port} }}
    paths:
      "/":
        file.dir: {dir}/www
        file.mime.setdefaulttype: text/plain
"""

HAPROXY = """
global
  nbthread 1
  maxconn 9000
  tune.bufsize 32768
defaults
  mode http
  timeout client 600s
  timeout http-request 600s
  timeout http-keep-alive 600s
frontend bench
  bind 127.0.0.1:{port} backlog 4096
  http-request return status 200 content-type text/plain \
string "Hello, World!" hdr date "%[date,http_date]" if {{ path /plaintext }}
  http-request return status 200 content-type application/json \
string "{{\\"message\\":\\"Hello, World!\\"}}" hdr date "%[date,http_date]" \
if {{ path /json }}
  http-request return status 200 content-type application/octet-stream \
file {dir}/www/16k.bin hdr date "%[date,http_date]" if {{ path /16k.bin }}
"""

LIGHTTPD = """
server.bind = "127.0.0.1"
server.port = {port}
server.document-root = "{dir}/www"
server.max-keep-alive-requests = 65535
server.max-keep-alive-idle = 600
server.max-fds = 18000
server.listen-backlog = 4096
server.errorlog = "{dir}/lighttpd.log"
mimetype.assign = ( "json" => "application/json", "plaintext" => "text/plain",
                    "" => "application/octet-stream" )
"""

# name: configuration, arguments in front of its path
PEERS = {
    "nginx": (NGINX, ["-c"]),
    "h2o": (H2O, ["-m", "worker", "-c"]),
    "haproxy": (HAPROXY, ["-db", "-f"]),
    "lighttpd": (LIGHTTPD, ["-D", "-f"]),
}


def find(name):
    return shutil.which(name) or shutil.which(f"/usr/sbin/{name}")


def command(name, folder, port):
    """Writes the peer's configuration; returns what starts it."""
    text, arguments = PEERS[name]
    path = os.path.join(folder, f"{name}.conf")
    with open(path, "w", encoding="utf-8") as file:
        file.write(text.format(dir=folder, port=port))
    return [find(name), *arguments, path]
