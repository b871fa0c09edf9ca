/* SPDX-License-Identifier: MIT */
/*
 * One error, passed up by value: a code, the errno behind it, and a text to
 * which every caller that knows more puts its context in front.
 *
 * The code that meets an error sets it, the code that knows the context wraps
 * it, and the code that decides logs it, once.  Every function here returns
 * -1, so that failing is one line:
 *
 *	struct error err;
 *	int fd = open(path, O_RDONLY | O_CLOEXEC);
 *	if (fd == -1)
 *		return error_sys(err, "open '%s'", path);
 *	if (load(fd, err) == -1)
 *		return error_wrap(err, "configuration");
 *
 * which ends as "configuration: open 'x.json': No such file or directory".
 *
 * Here: the type and its four verbs.  Not here: logging, exiting.
 * Context: any process, any thread; nothing is allocated.
 */
#ifndef CORELANE_COMMON_ERROR_H
#define CORELANE_COMMON_ERROR_H

#define ERROR_TEXT_BYTES 1024

enum error_code {
	ERROR_NONE,	/* nothing happened */
	ERROR_SYSTEM,	/* the kernel said no: `sys` is the errno */
	ERROR_INVALID,	/* the input is wrong: configuration, command, text */
	ERROR_LIMIT,	/* a limit of ours or of the machine is reached */
	ERROR_BUSY,	/* somebody else holds it: port, lock, name */
	ERROR_MEMORY,	/* an allocation failed */
	ERROR_INTERNAL	/* our own logic: worth a bug report */
};

struct error {
	enum error_code code;
	int sys;			/* errno, 0 where none is behind it */
	char text[ERROR_TEXT_BYTES];	/* NUL-terminated, cut with "..." */
};

/*
 * error_set() starts an error with `code` and a formatted text.  error_sys()
 * does the same with ERROR_SYSTEM and appends ": " and the text of errno, read
 * on entry.  error_wrap() puts the formatted context and ": " in front of the
 * text that is there; what doesn't fit is cut at the end.  error_nomem() is
 * for a failed allocation of what the format names.
 *
 * err: borrowed, or NULL, when nobody asked.  Returns -1, always.
 */
int error_set(struct error *err, enum error_code code, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));
int error_sys(struct error *err, const char *fmt, ...)
    __attribute__((format(printf, 2, 3)));
int error_wrap(struct error *err, const char *fmt, ...)
    __attribute__((format(printf, 2, 3)));
int error_nomem(struct error *err, const char *what);

/* Makes `err` say that nothing happened. */
void error_clear(struct error *err);

#endif
