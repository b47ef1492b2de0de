// What stays of the helper beside each run: keeps the lock, copies the output into the capped
// log, reaps, and writes down how the command ended. Sleeps in poll() without a timer.
#pragma once

#include <sys/types.h>

#include <string>

#include "process/members.h"

namespace seatrial::process {

struct Shim {
    pid_t command = 0;
    Fd run_folder;
    Fd lock;
    Fd log;
    Fd output;        // read end, non-blocking
    Fd signals;       // signalfd: SIGCHLD, SIGTERM
    Fd oom;           // what counts_oom_kill() reads, or none
    int life = -1;    // tools: ends the run when readable; borrowed
    std::int64_t log_bytes = 0;
    Members members;
};

// Until the command and all its descendants have ended. When the command ends alone, the
// others get TERM and, half a second later, KILL; unless a SIGTERM to the shim said before
// that somebody else is ending the run with a grace of his own.
void run_shim(Shim& shim);
// Lines of ours in the log.
void log_line(Shim& shim, const std::string& text);
void write_exit(Shim& shim, int code);

}    // namespace seatrial::process
