// SPDX-License-Identifier: MIT
/*
 * A module in C++17: POST /words counts the words of a text.
 *
 * Owns nothing: what a request needs lives on the stack, and goes by RAII.
 * Invariant: no exception crosses into the server, which is C: guarded() turns
 * every one into a return value.
 * Here: all of it.  Context: a worker's loop.
 */
#include <cctype>
#include <cerrno>
#include <exception>
#include <map>
#include <new>
#include <stdexcept>
#include <string>
#include <string_view>

#include <corelane/corelane.h>

namespace {

// An object of JSON: open while this lives.
class JsonObject {
public:
	explicit JsonObject(lane_json_writer *w) : writer(w)
	{
		lane_json_object(writer);
	}
	~JsonObject()
	{
		lane_json_end(writer);
	}
	JsonObject(const JsonObject &) = delete;
	JsonObject &operator=(const JsonObject &) = delete;

	void
	add(const std::string &key, int64_t value)
	{
		lane_json_add_int(writer, key.c_str(), value);
	}

private:
	lane_json_writer *writer;
};

class WordCount {
public:
	explicit WordCount(std::string_view text)
	{
		std::string word;

		for (char byte : text) {
			auto letter = static_cast<unsigned char>(byte);

			if (std::isspace(letter) == 0)
				word += static_cast<char>(std::tolower(letter));
			else
				take(word);
		}
		take(word);
		if (counts.empty())
			throw std::invalid_argument("there is no word in it");
	}

	int
	send(lane_ctx *c) const
	{
		lane_json_writer *w = lane_json_new(c);

		{
			JsonObject object(w);

			for (const auto &[word, count] : counts)
				object.add(word, count);
		}
		return lane_json_send(w, 200);
	}

private:
	void
	take(std::string &word)
	{
		if (!word.empty())
			counts[word]++;
		word.clear();
	}

	std::map<std::string, int64_t> counts;
};

int
words(lane_ctx *c)
{
	lane_str body = lane_body(c);

	return WordCount(std::string_view(body.p, body.len)).send(c);
}

// The border: what `handler` throws becomes what a handler in C returns.
template <int (*handler)(lane_ctx *)>
int
guarded(lane_ctx *c) noexcept
{
	try {
		return handler(c);
	} catch (const std::invalid_argument &e) {
		return lane_fail(c, 400, "%s", e.what());
	} catch (const std::bad_alloc &) {
		return -ENOMEM;
	} catch (const std::exception &e) {
		lane_log(c, LANE_ERROR, "%s", e.what());
	} catch (...) {
		lane_log(c, LANE_ERROR, "threw what is no exception");
	}
	return -EPROTO;
}

// C++17 has no designated initialisers: these stand for them.
constexpr lane_route
route(const char *name, const char *methods, const char *path, lane_fn run)
{
	lane_route r{};

	r.name = name;
	r.methods = methods;
	r.path = path;
	r.run = run;
	return r;
}

constexpr lane_route routes[] = {
    route("words", "POST", "/words", guarded<words>),
    {},
};

constexpr struct lane_module
module_of(const char *name, const lane_route *its_routes)
{
	struct lane_module m{};

	m.abi = LANE_ABI;
	m.name = name;
	m.routes = its_routes;
	return m;
}

} // namespace

LANE_MODULE_EXPORT lane_module = module_of("example_cpp", routes);
