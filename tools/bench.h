/*
 * carom bench: time commands
 */
#ifndef CAROM_TOOLS_BENCH_H
#define CAROM_TOOLS_BENCH_H

/** carom_bench_main() - @argv[0] is "bench". Return: the exit status. */
int carom_bench_main(int argc, char *argv[]);

#endif
