/*
 * Stop signals: those by which somebody ends a program
 */
#ifndef CAROM_TOOLS_STOP_SIGNALS_H
#define CAROM_TOOLS_STOP_SIGNALS_H

/**
 * carom_stop_signals_open() - have SIGINT, SIGTERM and SIGHUP read from a descriptor instead of obeyed
 *
 * One that is ignored stays so: that is how nohup(1), and a shell for what it runs in the
 * background, keep a signal away from a program.
 * Return: a signalfd(2) that does not block, the caller's; or what that said, below 0.
 */
int carom_stop_signals_open(void);

#endif
