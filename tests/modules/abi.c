/* SPDX-License-Identifier: MIT */
/* A module that was built for another ABI. */
#include <corelane/corelane.h>

LANE_MODULE_EXPORT lane_module = {.abi = 4711, .name = "abi"};
