/* SPDX-License-Identifier: MIT */
/* A shared object that is no module: it has no lane_module. */
int stranger_answer(void);

__attribute__((visibility("default"))) int
stranger_answer(void)
{
	return 42;
}
