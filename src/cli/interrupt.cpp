#include "cli/interrupt.h"

#include <signal.h>
#include <unistd.h>

#include <thread>

namespace seatrial::cli {

Interrupt::Interrupt() {
    sigset_t signals;
    sigemptyset(&signals);
    sigaddset(&signals, SIGINT);
    sigaddset(&signals, SIGTERM);
    pthread_sigmask(SIG_BLOCK, &signals, nullptr);
    std::thread([signals, source = source_]() mutable {
        int signal = 0;
        sigwait(&signals, &signal);
        source.cancel();
        sigwait(&signals, &signal);
        ::_exit(130);
    }).detach();
}

}    // namespace seatrial::cli
