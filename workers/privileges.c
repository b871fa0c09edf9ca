/* SPDX-License-Identifier: MIT */
/*
 * Giving up root: see privileges.h.
 *
 * Owns: nothing.
 * Here: whom to become, and becoming it.  Not here: capabilities.
 * Context: supervisor (find, give_file) and worker (drop).
 */
#include "workers/privileges.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <pwd.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* The configured user and group; where there is none, who we are. */
static int
privileges_look_up(const struct config *cfg, struct privileges *ret_who,
    struct error *err)
{
	struct privileges who = {.uid = geteuid(), .gid = getegid()};
	const struct passwd *pw;
	const struct group *gr;

	if (cfg->user.len > 0) {
		pw = getpwnam(cfg->user.p);
		if (pw == NULL)
			return error_set(err, ERROR_INVALID,
			    "user: there is no user '%s'", cfg->user.p);
		who.uid = pw->pw_uid;
		who.gid = pw->pw_gid;
		snprintf(who.user, sizeof(who.user), "%s", pw->pw_name);
	}
	if (cfg->group.len > 0) {
		gr = getgrnam(cfg->group.p);
		if (gr == NULL)
			return error_set(err, ERROR_INVALID,
			    "group: there is no group '%s'", cfg->group.p);
		who.gid = gr->gr_gid;
	}
	*ret_who = who;
	return 0;
}

int
privileges_check(const struct config *cfg, struct error *err)
{
	struct privileges who = {0};

	return privileges_look_up(cfg, &who, err);
}

int
privileges_find(const struct config *cfg, struct privileges *ret_who,
    struct error *err)
{
	struct privileges who = {0};

	if (privileges_look_up(cfg, &who, err) == -1)
		return -1;
	/* Anybody else can't change, and needn't be told when he is the one. */
	who.drops = geteuid() == 0 &&
	    (cfg->user.len > 0 || cfg->group.len > 0);
	if (geteuid() != 0 && (who.uid != geteuid() || who.gid != getegid()))
		return error_set(err, ERROR_INVALID, "user, group: only root "
		    "can become somebody else; start as root or leave them "
		    "out");
	*ret_who = who;
	return 0;
}

int
privileges_drop(const struct privileges *who, struct error *err)
{
	if (!who->drops)
		return 0;
	/* Groups first: afterwards there is no right to change them. */
	if (who->user[0] != '\0') {
		if (initgroups(who->user, who->gid) == -1)
			return error_sys(err, "initgroups '%s'", who->user);
	} else if (setgroups(1, &who->gid) == -1) {
		return error_sys(err, "setgroups");
	}
	if (setresgid(who->gid, who->gid, who->gid) == -1)
		return error_sys(err, "setgid %u", (unsigned)who->gid);
	if (setresuid(who->uid, who->uid, who->uid) == -1)
		return error_sys(err, "setuid %u", (unsigned)who->uid);
	if (who->uid != 0 && setuid(0) == 0)
		return error_set(err, ERROR_INTERNAL,
		    "root could be had again after setuid %u",
		    (unsigned)who->uid);
	return 0;
}

void
privileges_give_file(const struct privileges *who, const char *path)
{
	int fd;

	if (!who->drops || path[0] != '/')
		return;
	fd = open(path, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC | O_NONBLOCK |
	    O_NOFOLLOW, 0640);
	if (fd == -1)
		return;		/* opening it to write will say why */
	if (fchown(fd, who->uid, who->gid) == -1)
		errno = 0;
	close(fd);
}
