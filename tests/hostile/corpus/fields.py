# SPDX-License-Identifier: MIT
"""RFC 9112 5, RFC 9110 5 and 7.2: field lines, and the Host field."""
from corpus import case, closed, either, get, kept, post, shown, start


def host(lines, version=b"HTTP/1.1", target=b"/hello"):
    return start(b"GET " + target + b" " + version, lines)


CASES = [
    # Host: RFC 9112 3.2: exactly one, and valid, or 400.
    case("no Host", host(b""), either(400)),
    case("no Host in HTTP/1.0", host(b"", b"HTTP/1.0"), closed(200)),
    case("two Hosts", host(b"Host: a\r\nHost: b\r\n"), either(400)),
    case("the same Host twice", host(b"Host: a\r\nHost: a\r\n"),
         either(400)),
    case("two Hosts, another field between",
         host(b"Host: a\r\nX: y\r\nhost: b\r\n"), either(400)),
    case("two Hosts in HTTP/1.0",
         host(b"Host: a\r\nHost: b\r\n", b"HTTP/1.0"), closed(400)),
    case("two Hosts with an absolute-form",
         host(b"Host: t\r\nHost: t\r\n", target=b"http://t/hello"),
         either(400)),
    case("a bad Host with an absolute-form",
         host(b"Host: a b\r\n", target=b"http://t/hello"), either(400)),
    case("Host in any case", host(b"hOsT: t\r\n"), kept(200)),
    case("Host without a space", host(b"Host:t\r\n"), kept(200)),
    case("Host with tabs around", host(b"Host:\t t \t\r\n"), kept(200)),
    case("Host last", host(b"A: b\r\nHost: t\r\n"), kept(200)),
]

for value in (b"", b" ", b"a b", b"a\tb", b"a/b", b"a?b", b"a#b", b"a\\b",
              b"u@a", b"u:p@a", b"http://a", b"a:x", b"a:80x", b"a:-1",
              b"a: 80", b"a:80:80", b"[::1", b"::1]", b"::1", b"[::1]x",
              b"[::1]:x", b"[]", b"[:::::::::]", b"[g::]", b"[::1%lo]",
              b"a%zz", b"a%4", b"a<b>", b"\"a\"", b"a\x80", b"a\xff",
              b"a\0b", b"a\x01b", b"a\x7fb", b"{a}", b"a|b", b"a^b",
              b"a b/c@d"):
    CASES.append(case(f"Host: {shown(value)}",
                      host(b"Host: " + value + b"\r\n"), either(400)))
for value in (b"a", b"a:80", b"A.Example", b"a-b_c~d", b"127.0.0.1:8080",
              b"[::1]", b"[::1]:80", b"[::ffff:192.0.2.1]"):
    CASES.append(case(f"Host: {shown(value)}",
                      host(b"Host: " + value + b"\r\n"), kept(200)))
for value in (b"a:", b"a:0", b"a:65535", b"a:65536", b"a:99999999999",
              b"a%41", b"a,b", b"*", b"a..b", b".", b"[v1.a]",
              b"x" * 300):
    # Valid by RFC 3986's grammar, of no use to anybody: either way.
    CASES.append(case(f"Host: {shown(value)[:30]}",
                      host(b"Host: " + value + b"\r\n"),
                      either({200, 400})))

CASES += [
    # Field lines.
    case("an empty value", get(b"X:\r\n"), kept(200)),
    case("a value of blanks", get(b"X: \t \r\n"), kept(200)),
    case("a field of one letter each", get(b"X:y\r\n"), kept(200)),
    case("every token character in a name",
         get(b"!#$%&'*+-.^_`|~0aZ: v\r\n"), kept(200)),
    case("a tab within a value", get(b"X: a\tb\r\n"), kept(200)),
    case("obs-text in a value", get(b"X: a\xff\x80b\r\n"), kept(200)),
    case("UTF-8 in a value", get("X: é€\r\n".encode()), kept(200)),
    case("colons in a value", get(b"X: :a:b:\r\n"), kept(200)),
    case("an unclosed quote in a value", get(b"X: \"a\r\n"), kept(200)),
    case("the same field twice", get(b"X: a\r\nX: b\r\n"), kept(200)),
    case("a name of 200 letters", get(b"N" * 200 + b": v\r\n"), kept(200)),
    case("a space before the colon", get(b"X : y\r\n"), closed(400)),
    case("a tab before the colon", get(b"X\t: y\r\n"), closed(400)),
    case("a space before Host's colon", host(b"Host : t\r\n"), closed(400)),
    case("a space inside a name", get(b"X Y: a\r\n"), closed(400)),
    case("a space before the first name", host(b" Host: t\r\n"),
         closed(400)),
    case("a tab before the first name", host(b"\tHost: t\r\n"),
         closed(400)),
    case("no colon", get(b"X\r\n"), closed(400)),
    case("no name", get(b": v\r\n"), closed(400)),
    case("only a colon", get(b":\r\n"), closed(400)),
    case("a fold", get(b"X: a\r\n b\r\n"), closed(400)),
    case("a fold with a tab", get(b"X: a\r\n\tb\r\n"), closed(400)),
    case("a fold of nothing", get(b"X: a\r\n \r\n"), closed(400)),
    case("a fold before any value", get(b"X:\r\n a\r\n"), closed(400)),
    case("a fold that looks like a field",
         get(b"X: a\r\n Content-Length: 5\r\n"), closed(400)),
    case("a folded Host", host(b"Host:\r\n t\r\n"), closed(400)),
    case("a bare LF ends a field", get(b"X: a\nY: b\r\n"), closed(400)),
    case("a bare LF ends the last field", get(b"X: a\n"), closed(400)),
    case("a bare LF ends the head",
         b"GET /hello HTTP/1.1\r\nHost: t\r\n\n", closed(400)),
    case("bare LFs throughout", b"GET /hello HTTP/1.1\nHost: t\n\n",
         closed(400)),
    case("a bare CR within a value", get(b"X: a\rb\r\n"), closed(400)),
    case("a bare CR ends a field", get(b"X: a\rY: b\r\n"), closed(400)),
    case("CR CR LF ends a field", get(b"X: a\r\r\n"), closed(400)),
    case("CR CR LF ends the head",
         b"GET /hello HTTP/1.1\r\nHost: t\r\n\r\r\n", closed(400)),
    case("CR and a letter end the head",
         b"GET /hello HTTP/1.1\r\nHost: t\r\n\rX", closed(), closed(400),
         closed(408), fin=True),
    case("a bare CR starts a field", get(b"\rX: a\r\n"), closed(400)),
    case("a CR LF smuggled by a vertical tab",
         get(b"X: a\x0bContent-Length: 5\r\n"), closed(400)),
]

for byte in b"\0\x01\x08\t\x0b\x0c\x1b\x1f \"(),/;<=>?@[\\]{}\x7f\x80\xc3\xff":
    CASES.append(case(f"{shown(bytes([byte]))} in a name",
                      get(b"X" + bytes([byte]) + b"Y: v\r\n"), closed(400)))
for byte in (*range(0, 9), *range(11, 13), *range(14, 32), 127):
    CASES.append(case(f"{shown(bytes([byte]))} in a value",
                      get(b"X: a" + bytes([byte]) + b"b\r\n"), closed(400)))

CASES += [
    # Connection (RFC 9112 9.3, RFC 9110 7.6.1).
    case("close", get(b"Connection: close\r\n"), closed(200)),
    case("Close", get(b"Connection: Close\r\n"), closed(200)),
    case("close in a list", get(b"Connection: foo, close\r\n"),
         closed(200)),
    case("close first in a list", get(b"Connection: close,foo\r\n"),
         closed(200)),
    case("close among empty members", get(b"Connection: ,, close ,\r\n"),
         closed(200)),
    case("close and keep-alive", get(b"Connection: keep-alive, close\r\n"),
         closed(200)),
    case("close in a second field",
         get(b"Connection: foo\r\nConnection: close\r\n"), closed(200)),
    case("a word that begins with close", get(b"Connection: closed\r\n"),
         kept(200)),
    case("a word that ends in close", get(b"Connection: unclose\r\n"),
         kept(200)),
    case("an empty Connection", get(b"Connection:\r\n"), kept(200)),
    case("Proxy-Connection is nothing", get(b"Proxy-Connection: close\r\n"),
         kept(200)),
    case("keep-alive in HTTP/1.1", get(b"Connection: keep-alive\r\n"),
         kept(200)),
    case("HTTP/1.0 closes", start(b"GET /hello HTTP/1.0"), closed(200)),
    case("HTTP/1.0 keeps alive when asked to",
         start(b"GET /hello HTTP/1.0",
               b"Host: t\r\nConnection: Keep-Alive\r\n"), kept(200),
         fields={"connection": "keep-alive"}),
    case("HTTP/1.0 with both", start(
        b"GET /hello HTTP/1.0", b"Connection: keep-alive, close\r\n"),
         closed(200)),
    case("nothing after close is answered",
         get(b"Connection: close\r\n") + get(b""), closed(200)),
    case("nothing after HTTP/1.0 is answered",
         start(b"GET /hello HTTP/1.0") + get(b""), closed(200)),
    case("Connection names Host", get(b"Connection: host\r\n"),
         kept(200), either(400)),
    case("Connection names Content-Length",
         post(b"Connection: content-length\r\nContent-Length: 5\r\n"),
         kept(200), closed(400), body=b"hello"),

    # Upgrade (RFC 9110 7.8): an offer that may be declined.
    case("an unknown upgrade",
         get(b"Connection: Upgrade\r\nUpgrade: foo/1\r\n"), kept(200)),
    case("an upgrade without Connection", get(b"Upgrade: websocket\r\n"),
         kept(200)),
    case("an upgrade to h2c",
         get(b"Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\n"
             b"HTTP2-Settings: AAMAAABkAAQAAP__\r\n"), kept(200)),
    case("an upgrade on a POST with a body",
         post(b"Connection: upgrade\r\nUpgrade: foo\r\n"
              b"Content-Length: 5\r\n"), kept(200), body=b"hello"),
    case("an upgrade on a POST, and a request after it",
         post(b"Connection: upgrade\r\nUpgrade: foo\r\n"
              b"Content-Length: 5\r\n") + get(b""), kept(200, 200)),
    case("an upgrade on a chunked POST, and a request after it",
         post(b"Connection: upgrade\r\nUpgrade: foo\r\n"
              b"Transfer-Encoding: chunked\r\n", b"0\r\n\r\n") + get(b""),
         kept(200, 200)),
]
