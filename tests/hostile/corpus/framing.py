# SPDX-License-Identifier: MIT
"""RFC 9112 6 and 7: where a body ends.  Every doubt here is a smuggled
request somewhere, so the answer to a doubt is 400 (or 501) and a close."""
from corpus import (SMUGGLED, case, closed, either, get, in_chunks, kept,
                    post, shown, start)

CHUNKS = b"5\r\nhello\r\n0\r\n\r\n"


def length(value, body=b"hello"):
    return post(b"Content-Length: " + value + b"\r\n", body)


def coding(value, body=CHUNKS):
    return post(b"Transfer-Encoding:" + value + b"\r\n", body)


CASES = [
    case("a length", length(b"5"), kept(200), body=b"hello"),
    case("a length of 0", length(b"0", b""), kept(200), body=b""),
    case("no length", post(b"", b""), kept({200, 411})),
    case("blanks around a length", post(b"Content-Length: \t5 \r\n"),
         kept(200), either(400), body=b"hello"),
    case("a length with zeros", length(b"005"), kept(200), either(400),
         body=b"hello"),
    case("a length in any case", post(b"cOnTeNt-lEnGtH: 5\r\n"), kept(200),
         body=b"hello"),
    case("a length without a space", post(b"Content-Length:5\r\n"),
         kept(200), body=b"hello"),
    case("a body cut short", length(b"9"), closed(), closed(400),
         closed(408), fin=True),
    case("a body and the next request", length(b"5") + get(b""),
         kept(200, 200)),
    case("a body longer than its length", length(b"4"),
         closed(200), closed(200, {400, 408, 501}), fin=True),
    case("a GET with a body", get(b"Content-Length: 5\r\n") + b"hello",
         kept(200), closed(400)),
    case("a GET with a body that is a request",
         get(b"Content-Length: %d\r\n" % len(SMUGGLED)) + SMUGGLED,
         kept(200), closed(400)),
    case("a HEAD with a body",
         start(b"HEAD /hello HTTP/1.1", b"Host: t\r\nContent-Length: %d\r\n"
               % len(SMUGGLED)) + SMUGGLED,
         kept(200), closed(400), methods=("HEAD",)),
    case("a chunked GET",
         get(b"Transfer-Encoding: chunked\r\n") + CHUNKS, kept(200),
         closed(400)),
    case("an OPTIONS * with a body",
         start(b"OPTIONS * HTTP/1.1", b"Host: t\r\nContent-Length: %d\r\n"
               % len(SMUGGLED)) + SMUGGLED, kept({200, 204}), closed(400)),
    case("a body to a path that is not there",
         post(b"Content-Length: %d\r\n" % len(SMUGGLED), SMUGGLED, b"/nope"),
         either(404)),
    case("a body to a method that is not there",
         post(b"Content-Length: %d\r\n" % len(SMUGGLED), SMUGGLED,
              b"/hello"), either(405)),
    case("a chunked body to a path that is not there",
         post(b"Transfer-Encoding: chunked\r\n",
              b"%x\r\n%s\r\n0\r\n\r\n" % (len(SMUGGLED), SMUGGLED),
              b"/nope"), either(404)),
    case("a body to a method nobody knows",
         start(b"PROPFIND /hello HTTP/1.1", b"Host: t\r\n"
               b"Content-Length: %d\r\n" % len(SMUGGLED)) + SMUGGLED,
         either(501)),

    # Both framings: RFC 9112 6.3, always refused here.
    case("a length, then a coding",
         post(b"Content-Length: 5\r\nTransfer-Encoding: chunked\r\n",
              b"0\r\n\r\n" + SMUGGLED), closed(400)),
    case("a coding, then a length",
         post(b"Transfer-Encoding: chunked\r\nContent-Length: 5\r\n",
              b"0\r\n\r\n" + SMUGGLED), closed(400)),
    case("a coding and a length of 0",
         post(b"Transfer-Encoding: chunked\r\nContent-Length: 0\r\n",
              CHUNKS), closed(400)),
    case("a coding that is none, and a length",
         post(b"Transfer-Encoding: xchunked\r\nContent-Length: 5\r\n"),
         closed({400, 501})),
    case("an empty coding, and a length",
         post(b"Transfer-Encoding:\r\nContent-Length: 5\r\n"),
         closed({400, 501})),
    case("a folded coding, and a length",
         post(b"Transfer-Encoding:\r\n chunked\r\nContent-Length: 5\r\n"),
         closed(400)),
    case("a coding with a space before the colon, and a length",
         post(b"Transfer-Encoding : chunked\r\nContent-Length: 5\r\n"),
         closed(400)),
    case("a coding after a bare LF, and a length",
         post(b"X: y\nTransfer-Encoding: chunked\r\nContent-Length: 5\r\n"),
         closed(400)),
    case("a coding after a bare CR, and a length",
         post(b"X: y\rTransfer-Encoding: chunked\r\nContent-Length: 5\r\n"),
         closed(400)),

    # Lookalikes: no framing at all, so what follows is the next request.
    case("Transfer_Encoding is another name",
         post(b"Transfer_Encoding: chunked\r\n", SMUGGLED),
         kept({200, 411}, 404), closed({400, 411})),
    case("Content_Length is another name",
         post(b"Content_Length: 5\r\n", SMUGGLED), kept({200, 411}, 404),
         closed({400, 411})),
    case("Transfer-Encoding-X is another name",
         get(b"Transfer-Encoding-X: gzip\r\n"), kept(200), closed(400)),
    case("X-Transfer-Encoding is another name",
         get(b"X-Transfer-Encoding: chunked\r\n"), kept(200)),
    case("Content-Length-X is another name",
         get(b"Content-Length-X: 7\r\n"), kept(200)),
    case("TE is another name", get(b"TE: chunked, trailers\r\n"),
         kept(200)),

    case("a folded length", post(b"Content-Length:\r\n 5\r\n"), closed(400)),
    case("a length folded into another field",
         post(b"X: y\r\n Content-Length: 5\r\n"), closed(400)),
    case("a space before the length's colon",
         post(b"Content-Length : 5\r\n"), closed(400)),
    case("two lengths", post(b"Content-Length: 5\r\nContent-Length: 6\r\n"),
         closed(400)),
    case("two equal lengths",
         post(b"Content-Length: 5\r\nContent-Length: 5\r\n"), closed(400)),
    case("a length, and one that is none",
         post(b"Content-Length: 5\r\nContent-Length: x\r\n"), closed(400)),

    case("a coding", coding(b" chunked"), kept(200), body=b"hello"),
    case("a coding without a space", coding(b"chunked"), kept(200),
         body=b"hello"),
    case("a coding in capitals", coding(b" CHUNKED"), kept(200),
         body=b"hello"),
    case("a coding between tabs", coding(b"\tchunked\t"), kept(200),
         closed({400, 501}), body=b"hello"),
    case("a coding and a blank", coding(b" chunked "), kept(200),
         closed({400, 501}), body=b"hello"),
    case("a coding and the next request", coding(b" chunked") + get(b""),
         kept(200, 200)),
    case("a coding in HTTP/1.0",
         start(b"POST /echo HTTP/1.0",
               b"Host: t\r\nTransfer-Encoding: chunked\r\n")
         + CHUNKS + SMUGGLED, closed(400)),
    case("a coding in HTTP/1.0 that is kept alive",
         start(b"POST /echo HTTP/1.0", b"Connection: keep-alive\r\n"
               b"Transfer-Encoding: chunked\r\n") + CHUNKS, closed(400)),
    case("two codings",
         post(b"Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked"
              b"\r\n", CHUNKS), closed({400, 501})),
    case("chunked, then identity",
         post(b"Transfer-Encoding: chunked\r\nTransfer-Encoding: identity"
              b"\r\n", CHUNKS), closed({400, 501})),
    case("chunked, then nonsense (CVE-2020-8287)",
         post(b"Transfer-Encoding: chunked\r\nTransfer-Encoding: x\r\n",
              CHUNKS), closed({400, 501})),
    case("nonsense, then chunked",
         post(b"Transfer-Encoding: x\r\nTransfer-Encoding: chunked\r\n",
              CHUNKS), closed({400, 501})),
]

for value in (b"5, 5", b"5,6", b"5 6", b"+5", b"-5", b"-0", b"0x5", b"5x",
              b"5.0", b"5e0", b"", b" ", b"five", b"\"5\"", b"'5'", b"5;",
              b",5", b"5,", b"0 5", b"\xd9\xa5", b"5\0", b"5\x0b", b"\x0b5",
              b"5\x0c", b"1_0", b"NaN", b"Infinity"):
    CASES.append(case(f"the length {shown(value)}",
                      length(value) + SMUGGLED, closed(400)))
for value in (b"18446744073709551616", b"18446744073709551621",
              b"9223372036854775808", b"99999999999999999999999999",
              b"4294967301" + b"0" * 40, b"1" + b"0" * 300):
    CASES.append(case(f"the length {shown(value)[:30]}", length(value),
                      closed({400, 413})))
for value in (b"4294967301", b"1152921504606846976",
              b"9223372036854775807"):
    CASES.append(case(f"the length {shown(value)}", length(value),
                      closed(413), either(413)))

for value in (b" gzip, chunked", b" identity, chunked", b" gzip", b" x",
              b" deflate", b" compress, chunked", b" br",
              b" chunked, identity", b" identity", b" chunked, chunked",
              b" xchunked", b" chunkedx", b" chunked;q=1", b" chunked;",
              b" chunked; a=b", b" ,chunked", b" chunked,", b" , chunked",
              b" \x0bchunked", b" chunked\x0b", b" \x0cchunked",
              b" \"chunked\"", b" 'chunked'", b" chunked\0", b" \0chunked",
              b"", b" ", b" ,", b" chun ked", b" chunked x", b" x chunked",
              b" chunked\xa0", b" \xa0chunked", b" \xef\xbb\xbfchunked",
              b" chunk", b" chunke", b" cHuNkEd, x", b" [chunked]",
              b" chunked=1", b" chunked/1", b" -chunked", b" chunked\x85",
              b" chunked\rX: y", b" chunked\nX: y", b"\r\n chunked",
              b" chunked\r\n ", b" chunked\r\n\t, identity",
              "chun\u212aed".encode(), b" \\chunked", b" chunked\x7f"):
    outcomes = [closed({400, 501})]
    if value in (b" ,chunked", b" chunked,", b" , chunked"):
        # RFC 9110 5.6.1.2 lets a recipient skip empty members.
        outcomes.append(kept(200, 404))
    CASES.append(case(f"the coding {shown(value)}",
                      coding(value) + SMUGGLED, *outcomes))

CASES += [
    case("three requests", get(b"") + get(b"", b"/nope") + length(b"5"),
         kept(200, 404, 200), body=b"hello"),
    case("a bad one between two good ones",
         get(b"") + get(b"X : y\r\n") + get(b""), closed(200, 400)),
    case("a body, then rubbish", length(b"5") + b"\0\0\0\0\r\n\r\n",
         closed(200, 400)),
    case("an empty line between two requests",
         length(b"5") + b"\r\n" + get(b""), kept(200, 200)),
    case("a HEAD, a 204 and a GET",
         start(b"HEAD /hello HTTP/1.1") + get(b"", b"/empty") + get(b""),
         kept(200, 204, 200), methods=("HEAD", "GET", "GET"),
         body=b"Hello, World!"),
    case("HEAD of an error", start(b"HEAD /nope HTTP/1.1") + get(b""),
         kept(404, 200), methods=("HEAD", "GET")),
    case("HEAD of a wrong method", start(b"HEAD /echo HTTP/1.1") + get(b""),
         kept({200, 405}, 200), methods=("HEAD", "GET")),
    case("an echo of nothing", in_chunks(b"0\r\n\r\n"), kept(200),
         body=b""),
]
