/* SPDX-License-Identifier: MIT */
/* config/address: from a text to what bind(2) takes. */
#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/un.h>

#include "config/address.h"
#include "tests/unit/unit.h"

static const struct {
	const char *text;
	const char *host;	/* NULL: refused */
	unsigned port;		/* or what the refusal says */
	const char *refusal;
} addresses[] = {
	{"127.0.0.1:8080", "127.0.0.1", 8080, NULL},
	{"0.0.0.0:0", "0.0.0.0", 0, NULL},
	{"*:80", "0.0.0.0", 80, NULL},
	{":80", "0.0.0.0", 80, NULL},
	{"localhost:65535", "127.0.0.1", 65535, NULL},
	{"[::]:443", "::", 443, NULL},
	{"[::1]:080", "::1", 80, NULL},
	{"[2001:db8::1]:1", "2001:db8::1", 1, NULL},
	{"[::ffff:1.2.3.4]:1", "::ffff:1.2.3.4", 1, NULL},
	{"", NULL, 0, "a port is missing"},
	{"127.0.0.1", NULL, 0, "a port is missing"},
	{"[::1]", NULL, 0, "a port is missing"},
	{"127.0.0.1:", NULL, 0, "the port must be a number from 0 to 65535"},
	{"127.0.0.1:65536", NULL, 0,
	    "the port must be a number from 0 to 65535"},
	{"127.0.0.1:+80", NULL, 0,
	    "the port must be a number from 0 to 65535"},
	{"127.0.0.1:http", NULL, 0,
	    "the port must be a number from 0 to 65535"},
	{"127.0.0.1:80 ", NULL, 0,
	    "the port must be a number from 0 to 65535"},
	{"::1:80", NULL, 0,
	    "an IPv6 address needs brackets: \"[::1]:8080\""},
	{"[]:80", NULL, 0, "between [ and ] must stand an IPv6 address"},
	{"[127.0.0.1]:80", NULL, 0,
	    "between [ and ] must stand an IPv6 address"},
	{"[::1%lo]:80", NULL, 0, "between [ and ] must stand an IPv6 address"},
	{"[1111:2222:3333:4444:5555:6666:7777:8888:9999:1111:2222]:80", NULL,
	    0, "between [ and ] must stand an IPv6 address"},
	{"example.org:80", NULL, 0,
	    "the host must be a numeric address, \"*\" or \"localhost\""},
	{"127.1:80", NULL, 0,
	    "the host must be a numeric address, \"*\" or \"localhost\""},
	{"256.0.0.1:80", NULL, 0,
	    "the host must be a numeric address, \"*\" or \"localhost\""},
	{" 127.0.0.1:80", NULL, 0,
	    "the host must be a numeric address, \"*\" or \"localhost\""},
	{"unix:", NULL, 0, "a path must follow \"unix:\""},
};

/* "host:port" of a parsed address, the way the system writes it. */
static void
check_inet(const struct address *a, const char *host, unsigned port,
    const char *name)
{
	const struct sockaddr_in *in = (const void *)&a->storage;
	const struct sockaddr_in6 *in6 = (const void *)&a->storage;
	bool is_v6 = a->storage.ss_family == AF_INET6;
	char text[INET6_ADDRSTRLEN];

	assert_non_null(inet_ntop(a->storage.ss_family, is_v6 ?
	    (const void *)&in6->sin6_addr : (const void *)&in->sin_addr, text,
	    sizeof(text)));
	unit_check_str(str_of(text), str_of(host), name);
	unit_check(ntohs(is_v6 ? in6->sin6_port : in->sin_port) == port, name);
	unit_check(a->len == (is_v6 ? sizeof(*in6) : sizeof(*in)), name);
}

static void
texts_are_read_or_refused(void **state)
{
	(void)state;
	for (size_t i = 0; i < UNIT_COUNT(addresses); i++) {
		const char *name = addresses[i].text;
		struct address a;
		struct error err;
		int result = address_parse(str_of(name), &a, &err);

		unit_check((result == 0) == (addresses[i].host != NULL), name);
		if (result == 0)
			check_inet(&a, addresses[i].host, addresses[i].port,
			    name);
		else
			unit_check_str(str_of(err.text),
			    str_of(addresses[i].refusal), name);
	}
	assert_int_equal(address_parse(STR("[::1\0]:80"),
	    &(struct address){.len = 0}, NULL), -1);
	assert_int_equal(address_parse(STR("1.2.3.4\0:80"),
	    &(struct address){.len = 0}, NULL), -1);
}

static void
a_unix_path_has_its_place_for_a_nul(void **state)
{
	char text[5 + sizeof(((struct sockaddr_un *)NULL)->sun_path) + 1] =
	    "unix:";
	struct address a;
	struct error err;

	(void)state;
	memset(text + 5, 'x', sizeof(text) - 6);
	assert_int_equal(address_parse(str_of(text), &a, &err), -1);
	assert_string_equal(err.text, "the path of a unix socket has at most "
	    "107 bytes, this one has 108");
	text[sizeof(text) - 2] = '\0';
	assert_int_equal(address_parse(str_of(text), &a, &err), 0);
	assert_int_equal(a.storage.ss_family, AF_UNIX);
	assert_int_equal(a.len, sizeof(struct sockaddr_un));
	assert_string_equal(((struct sockaddr_un *)&a.storage)->sun_path,
	    text + 5);
	assert_int_equal(address_parse(STR("unix:a\0b"), &a, &err), -1);
}

static bool
is_same(const char *x, const char *y)
{
	struct address a, b;

	assert_int_equal(address_parse(str_of(x), &a, NULL), 0);
	assert_int_equal(address_parse(str_of(y), &b, NULL), 0);
	return address_is_same(&a, &b);
}

static void
addresses_are_compared_by_what_they_mean(void **state)
{
	(void)state;
	assert_true(is_same("127.0.0.1:80", "localhost:80"));
	assert_true(is_same("*:80", "0.0.0.0:80"));
	assert_true(is_same("[::1]:80", "[0:0::1]:80"));
	assert_true(is_same("unix:/a", "unix:/a"));
	assert_false(is_same("127.0.0.1:80", "127.0.0.1:81"));
	assert_false(is_same("127.0.0.1:80", "127.0.0.2:80"));
	assert_false(is_same("[::]:80", "*:80"));
	assert_false(is_same("unix:/a", "unix:/b"));
	assert_false(is_same("unix:/a", "unix:/ab"));
	/* The kernel gives each its own. */
	assert_false(is_same("127.0.0.1:0", "127.0.0.1:0"));
	assert_false(is_same("[::1]:0", "[::1]:0"));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(texts_are_read_or_refused),
		cmocka_unit_test(a_unix_path_has_its_place_for_a_nul),
		cmocka_unit_test(addresses_are_compared_by_what_they_mean),
	};

	return UNIT_RUN(tests);
}
