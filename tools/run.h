/*
 * carom run: a command over many inputs, several at a time.
 */
#ifndef CAROM_TOOLS_RUN_H
#define CAROM_TOOLS_RUN_H

/** carom_run_main() - the command; @argv[0] is "run". Return: the exit status. */
int carom_run_main(int argc, char *argv[]);

#endif
