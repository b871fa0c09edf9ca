# SPDX-License-Identifier: MIT
"""RFC 9112 2.2, 2.3 and 3: what stands before the first field."""
from corpus import case, closed, either, get, kept, shown, start

GOOD = get(b"")
# A head that is cut short may be refused, given up, or left in silence.
CUT = (closed(), closed(400), closed(408))

CASES = [
    case("a plain request", GOOD, kept(200), body=b"Hello, World!"),
    case("one empty line first", b"\r\n" + GOOD, kept(200)),
    case("two empty lines first", b"\r\n\r\n" + GOOD, kept(200)),
    case("a bare LF first", b"\n" + GOOD, kept(200), closed(400)),
    case("a thousand empty lines first", b"\r\n" * 1000 + GOOD, closed(400)),
    case("a bare CR first", b"\r" + GOOD, closed(400)),
    case("a space first", b" " + GOOD, closed(400)),
    case("a NUL first", b"\0" + GOOD, closed(400)),
    case("a byte order mark first", b"\xef\xbb\xbf" + GOOD, closed(400)),

    case("two spaces after the method", start(b"GET  /hello HTTP/1.1"),
         closed(400)),
    case("two spaces before the version", start(b"GET /hello  HTTP/1.1"),
         closed(400)),
    case("a tab after the method", start(b"GET\t/hello HTTP/1.1"),
         closed(400)),
    case("a tab before the version", start(b"GET /hello\tHTTP/1.1"),
         closed({400, 505})),
    case("a form feed before the version", start(b"GET /hello\x0cHTTP/1.1"),
         closed({400, 505})),
    case("a space after the version", start(b"GET /hello HTTP/1.1 "),
         closed(400)),
    case("a tab after the version", start(b"GET /hello HTTP/1.1\t"),
         closed(400)),
    case("a fourth word", start(b"GET /hello HTTP/1.1 x"), closed(400)),
    case("no target", start(b"GET HTTP/1.1"), closed(400)),
    case("an empty target", start(b"GET  HTTP/1.1"), closed(400)),
    case("only a method", start(b"GET"), closed(400)),
    case("only a method and a space", start(b"GET "), closed(400)),
    case("no method", start(b"/hello HTTP/1.1"), closed({400, 501})),
    case("no method but its space", start(b" /hello HTTP/1.1"), closed(400)),
    case("a bare LF ends the request line",
         b"GET /hello HTTP/1.1\nHost: t\r\n\r\n", closed(400)),
    case("a bare CR ends the request line",
         b"GET /hello HTTP/1.1\rHost: t\r\n\r\n", closed(400)),
    case("CR CR LF ends the request line",
         b"GET /hello HTTP/1.1\r\r\nHost: t\r\n\r\n", closed(400)),
    case("a bare CR in the request line",
         start(b"GET /hel\rlo HTTP/1.1"), closed(400)),
    case("a folded request line",
         start(b"GET /hello\r\n HTTP/1.1"), closed({400, 505})),

    case("HTTP/0.9 without a version", b"GET /hello\r\n\r\n",
         closed({400, 505})),
    case("HTTP/0.9 without a version or a field", b"GET /hello\r\n",
         closed({400, 505}), *CUT, fin=True),
    case("a request that ends in its method", b"GE", *CUT, fin=True),
    case("a request that ends in its target", b"GET /hel", *CUT, fin=True),
    case("a request that ends in its fields",
         b"GET /hello HTTP/1.1\r\nHost: t\r\n", *CUT, fin=True),
    case("nothing at all", b"", closed(), fin=True),
    case("only empty lines", b"\r\n\r\n", closed(), closed(400), fin=True),
]

# Unless it is 1.0 or 1.1: 505 for a version that exists, 400 for none.
for version in (b"HTTP/0.9", b"HTTP/2.0", b"HTTP/3.0", b"HTTP/9.9",
                b"HTTP/2", b"HTTP/1", b"HTTP/0.1"):
    CASES.append(case(f"version {shown(version)}",
                      start(b"GET /hello " + version), closed({400, 505})))
for version in (b"HTTP/1.2", b"HTTP/1.9"):
    # RFC 9110 6.2: a higher minor version is taken as the highest known.
    CASES.append(case(f"version {shown(version)}",
                      start(b"GET /hello " + version), kept(200),
                      closed(505)))
for version in (b"HTTP/1.10", b"HTTP/11.1", b"HTTP/01.1", b"HTTP/1.01",
                b"http/1.1", b"Http/1.1", b"HTTP/1.", b"HTTP/.1", b"HTTP/",
                b"HTTP", b"HTTP/1,1", b"HTTP/-1.1", b"HTTP/+1.1",
                b"HTTP/1.1.1", b"HTTP/1.1x", b"HTTP/1.x", b"HTTP/a.b",
                b"HTTP\\1.1", b"HTTPS/1.1", b"XHTTP/1.1", b"ICE/1.0",
                b"RTSP/1.0", b"HTTP/ 1.1", b"HTTP /1.1", b"HTTP/1 .1",
                b"HTTP/1.1\0", b"HTTP/\xb1.1", b"HTTP/4294967297.1"):
    CASES.append(case(f"version {shown(version)}",
                      start(b"GET /hello " + version), closed({400, 505})))

CASES += [
    case("Icecast's SOURCE", start(b"SOURCE / ICE/1.0"),
         closed({400, 501, 505})),
    case("HTTP/2's preface", b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
         closed({400, 501, 505})),
    case("HTTP/2's preface and settings",
         b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\4\0\0\0\0\0",
         closed({400, 501, 505})),
    case("a TLS ClientHello",
         b"\x16\x03\x01\x00\xa5\x01\x00\x00\xa1\x03\x03" + bytes(range(154)),
         closed(400), closed()),
    case("an SSH banner", b"SSH-2.0-OpenSSH_9.2\r\n", *CUT, fin=True),
    case("an SMTP greeting", b"EHLO example.com\r\n", closed(501), *CUT,
         fin=True),
    case("a PROXY protocol line",
         b"PROXY TCP4 192.0.2.1 192.0.2.2 1234 80\r\n" + GOOD,
         closed({400, 501})),
    case("a PROXY protocol 2 header",
         b"\r\n\r\n\0\r\nQUIT\n\x21\x11\0\x0c" + b"\0" * 12 + GOOD,
         closed(400)),
    case("a Redis command", b"*1\r\n$4\r\nPING\r\n", *CUT,
         fin=True),
    case("a response instead of a request",
         b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n",
         closed({400, 501})),
    case("bytes that are no text", bytes(range(128, 256)) + b"\r\n\r\n",
         closed({400, 501})),
    case("a megabyte without an end of line", b"A" * (1 << 20),
         closed({400, 414, 431, 501})),
]

# RFC 9110 9.1: 501 for what the server does not know at all.
for method in (b"PROPFIND", b"MKCOL", b"LOCK", b"REPORT", b"SUBSCRIBE",
               b"PURGE", b"M-SEARCH"):
    CASES.append(case(f"method {shown(method)}",
                      start(method + b" /hello HTTP/1.1"), either(501)))
CASES.append(case("method TRACE", start(b"TRACE /hello HTTP/1.1"),
                  either({405, 501})))
for method in (b"FOO", b"get", b"Get", b"GETX", b"GE", b"G", b"GET-",
               b"M" * 300):
    CASES.append(case(f"method {shown(method)[:20]}",
                      start(method + b" /hello HTTP/1.1"),
                      either({400, 501})))
for method in (b"GET,", b"G(T", b"G/T", b"G\0T", b"G\x7fT", b"G\xffT",
               b"\"GET\"", b"GET:", b"G ET", b"G\tET", b"G\r\nET"):
    CASES.append(case(f"method {shown(method)}",
                      start(method + b" /hello HTTP/1.1"),
                      closed({400, 501})))
