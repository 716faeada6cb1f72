/*
 * carom: processes for C programs. This header includes all others.
 */
#ifndef CAROM_H
#define CAROM_H

#include "../core/after_fork.h"
#include "../core/api.h"
#include "../core/cleanup.h"
#include "../core/context.h"
#include "../core/cpu.h"
#include "../core/error.h"
#include "../core/exit.h"
#include "../core/features.h"
#include "../core/finalizer.h"
#include "../core/log.h"
#include "../core/process.h"
#include "../core/registry.h"
#include "../core/temp_dir.h"
#include "../core/thread.h"
#include "../core/time.h"
#include "../core/tracker.h"
#include "../ipc/ring.h"
#include "../shm/heap.h"
#include "../shm/lock.h"
#include "../shm/segment.h"
#include "call.h"
#include "map.h"
#include "outcome.h"
#include "pool.h"
#include "result.h"

#endif
