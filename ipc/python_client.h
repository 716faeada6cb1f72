/*
 * Python's clients: those of multiprocessing.managers, of a server of this library's
 *
 * Their messages are pickles of (number or None, method, arguments, keywords), and what comes back
 * are pickles of (kind, value). Only data is read; what is written may name an exception, so that
 * a KeyError there is one.
 */
#ifndef CAROM_IPC_PYTHON_CLIENT_H
#define CAROM_IPC_PYTHON_CLIENT_H

#include "ipc/server_private.h"

/** carom_python_is() - is it a pickle? None of the own messages begins as one. */
bool carom_python_is(const void *data, size_t size);

/** carom_python_dispatch() - as carom_dispatch() */
int carom_python_dispatch(struct carom_session *session, const void *data, size_t size);

/** carom_python_answer() - what the request has as its reply, as a pickle */
void carom_python_answer(struct carom_request *request);

#endif
