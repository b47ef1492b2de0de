// Why the daemon ends: a signal, the loss of its helper, or the loss of its data folder.
#pragma once

#include <filesystem>

#include "base/file.h"
#include "log/log.h"

namespace seatrial::app {

// Asleep until something happens; polls nothing. Thread: one.
class EndWatch {
public:
    // Blocks SIGTERM, SIGINT and SIGHUP: to be called before any thread begins.
    static Result<EndWatch> open(const std::filesystem::path& data);

    // Ok once SIGTERM or SIGINT asked for the end; SIGHUP opens the log anew. `unavailable` when
    // the helper is gone: a new start finds everything again. `failed` when the data folder
    // was removed, moved or emptied of what the daemon works on: nothing can be kept any more.
    Status wait(int helper, const log::Options& log_options);
    // From here on a second signal does not wait for anything.
    void exit_on_next_signal();

private:
    EndWatch(std::filesystem::path data, Fd signals, Fd folder)
        : data_(std::move(data)), signals_(std::move(signals)), folder_(std::move(folder)) {}
    bool data_is_gone() const;

    std::filesystem::path data_;
    Fd signals_;
    Fd folder_;    // inotify
};

}    // namespace seatrial::app
