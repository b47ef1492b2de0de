#include "app/end_watch.h"

#include <poll.h>
#include <signal.h>
#include <sys/inotify.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <thread>

namespace seatrial::app {
namespace {

// Without these two the folder is nobody's: another daemon could lock it, and the records that
// are still open have no name any more.
constexpr std::array<std::string_view, 2> vital = {"lock", "seatrial.db"};

int next_signal(int fd) {
    signalfd_siginfo info{};
    while (::read(fd, &info, sizeof info) != sizeof info) {
    }
    return static_cast<int>(info.ssi_signo);
}

}    // namespace

Result<EndWatch> EndWatch::open(const std::filesystem::path& data) {
    sigset_t signals;
    sigemptyset(&signals);
    for (const int signal : {SIGTERM, SIGINT, SIGHUP}) {
        sigaddset(&signals, signal);
    }
    pthread_sigmask(SIG_BLOCK, &signals, nullptr);
    ::signal(SIGPIPE, SIG_IGN);
    Fd signal_fd(::signalfd(-1, &signals, SFD_CLOEXEC));
    if (!signal_fd) {
        return fail_errno("signalfd", errno);
    }
    Fd folder(::inotify_init1(IN_CLOEXEC | IN_NONBLOCK));
    if (!folder) {
        return fail_errno("inotify", errno);
    }
    constexpr std::uint32_t events =
        IN_DELETE | IN_MOVED_FROM | IN_DELETE_SELF | IN_MOVE_SELF | IN_ONLYDIR;
    if (::inotify_add_watch(folder.get(), data.c_str(), events) < 0) {
        return fail_errno("cannot watch " + data.string(), errno);
    }
    return EndWatch(data, std::move(signal_fd), std::move(folder));
}

// Reads what happened and looks at what that left: most of it is our own coming and going.
bool EndWatch::data_is_gone() const {
    alignas(inotify_event) std::array<char, 8192> buffer{};
    bool moved = false;
    for (ssize_t n = 0; (n = ::read(folder_.get(), buffer.data(), buffer.size())) > 0;) {
        for (ssize_t at = 0; at < n;) {
            inotify_event event{};
            std::copy_n(buffer.data() + at, sizeof event, reinterpret_cast<char*>(&event));
            at += static_cast<ssize_t>(sizeof event + event.len);
            moved = moved || (event.mask & (IN_MOVE_SELF | IN_DELETE_SELF | IN_UNMOUNT)) != 0;
        }
    }
    return moved || std::ranges::any_of(vital, [this](std::string_view file) {
               return ::access((data_ / file).c_str(), F_OK) != 0 && errno == ENOENT;
           });
}

Status EndWatch::wait(int helper, const log::Options& log_options) {
    while (true) {
        std::array<pollfd, 3> fds = {
            {{signals_.get(), POLLIN, 0}, {helper, POLLIN, 0}, {folder_.get(), POLLIN, 0}}};
        if (::poll(fds.data(), fds.size(), -1) < 0) {
            continue;
        }
        if (fds[2].revents != 0 && data_is_gone()) {
            return fail(Code::failed, "the data folder " + data_.string() + " was removed",
                        "restore it from a backup, or start anew with an empty one; databases of "
                        "its previews may be left");
        }
        if (fds[1].revents != 0) {
            return fail(Code::unavailable, "the helper ended", "start the daemon again");
        }
        if (fds[0].revents == 0) {
            continue;
        }
        if (next_signal(signals_.get()) != SIGHUP) {
            return {};
        }
        if (const auto reopened = log::open(log_options); !reopened) {
            log::warn("the log could not be opened anew", reopened.error());
        }
    }
}

void EndWatch::exit_on_next_signal() {
    std::thread([fd = ::dup(signals_.get())] {
        const Fd own(fd);
        while (next_signal(own.get()) == SIGHUP) {
        }
        ::_exit(1);
    }).detach();
}

}    // namespace seatrial::app
