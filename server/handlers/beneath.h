/* SPDX-License-Identifier: MIT */
/*
 * Opens files below a folder and nowhere else, whatever their path and the
 * links on it say.
 *
 * Context: any thread; may wait for a disk.
 */
#ifndef CORELANE_SERVER_HANDLERS_BENEATH_H
#define CORELANE_SERVER_HANDLERS_BENEATH_H

/*
 * path: relative to the folder.  Returns a descriptor for reading that never
 * blocks at open (a pipe, a device), or -1 with errno: EXDEV, ELOOP where the
 * path leads out.  On kernels without openat2(2) every symbolic link is ELOOP.
 */
int beneath_open(int root_fd, const char *path);

#endif
