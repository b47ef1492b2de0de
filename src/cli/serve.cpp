// seatrial serve: the daemon in the foreground (or started by `up`).
#include <fcntl.h>
#include <sys/prctl.h>
#include <unistd.h>

#include "app/daemon.h"
#include "app/memory.h"
#include "base/file.h"
#include "cli/globals.h"

namespace seatrial::cli {

int run_serve(const ServeOptions& options, const Globals& globals) {
    ::prctl(PR_SET_NAME, "seatrial");    // the file it was started from may be /proc/self/exe
    app::DaemonOptions daemon;
    daemon.data = globals.data;
    daemon.user = options.user;
    daemon.owner = options.owner >= 0 ? static_cast<uid_t>(options.owner) : ::getuid();
    daemon.port = static_cast<std::uint16_t>(options.port);
    daemon.ready_fd = options.ready_fd;
    daemon.log_to_file = options.log_file;
    daemon.log_level = options.log_level;
    daemon.config_embedded = options.embedded;
    // Opened with the caller's rights, read with the daemon's.
    Fd config;
    if (options.config_fd >= 0) {
        config = Fd(options.config_fd);
        daemon.config_name = options.config_name;
    } else if (!globals.config.empty()) {
        config = Fd(::open(globals.config.c_str(), O_RDONLY | O_CLOEXEC));
        if (!config) {
            return report(fail_errno("cannot open " + globals.config, errno).value(), globals);
        }
        daemon.config_name = globals.config;
    }
    daemon.config_fd = config.get();
    for (const int fd : {options.ready_fd, config.get()}) {
        if (fd >= 0) {
            ::fcntl(fd, F_SETFD, FD_CLOEXEC);
        }
    }
    app::return_free_memory();
    const auto served = app::run_daemon(daemon);
    return served ? 0 : report(served.error(), globals);
}

}    // namespace seatrial::cli
