/*
 * carom: processes for C programs. This header includes all others.
 */
#ifndef CAROM_H
#define CAROM_H

#include "../core/address.h"
#include "../core/after_fork.h"
#include "../core/api.h"
#include "../core/cleanup.h"
#include "../core/context.h"
#include "../core/cpu.h"
#include "../core/death_signal.h"
#include "../core/error.h"
#include "../core/exit.h"
#include "../core/fd.h"
#include "../core/features.h"
#include "../core/finalizer.h"
#include "../core/log.h"
#include "../core/memory_usage.h"
#include "../core/process.h"
#include "../core/registry.h"
#include "../core/shutdown.h"
#include "../core/signal_name.h"
#include "../core/temp_dir.h"
#include "../core/thread.h"
#include "../core/time.h"
#include "../core/title.h"
#include "../core/tracker.h"
#include "../core/version.h"
#include "../ipc/ring.h"
#include "../shm/heap.h"
#include "../shm/lock.h"
#include "../shm/segment.h"
#include "call.h"
#include "hooks.h"
#include "map.h"
#include "outcome.h"
#include "pool.h"
#include "pool_options.h"
#include "result.h"
#include "task.h"

#endif
