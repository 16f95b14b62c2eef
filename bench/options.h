/* SPDX-License-Identifier: GPL-2.0-only */
/* The options of the VFIO benchmarks. One that is wrong ends the program with 2 and a sentence. */
#ifndef BENCH_OPTIONS_H
#define BENCH_OPTIONS_H

#include <stdio.h>

/** option_number() - The value of @option, a number from 1 to @high. */
int option_number(int option, const char *text, int high);

/** option_csv() - The file @path, to be written. */
FILE *option_csv(const char *path);

#endif /* BENCH_OPTIONS_H */
