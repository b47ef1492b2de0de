#include "base/failpoint.h"

#include <fcntl.h>
#include <signal.h>
#include <unistd.h>

#include <cstdlib>
#include <map>
#include <mutex>
#include <string>

#include "base/text.h"

namespace seatrial {
namespace {

struct Armed {
    std::string action;
    int nth = 1;
};

struct Registry {
    Registry() {
        if (const char* file = std::getenv("SEATRIAL_FAILPOINT_RECORD")) {
            record = ::open(file, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0666);
            path = file;
        }
        if (const char* points = std::getenv("SEATRIAL_FAILPOINTS")) {
            for (const auto entry : split(points, ',')) {
                const auto equals = entry.find('=');
                if (equals == std::string_view::npos) {
                    continue;
                }
                std::string action(entry.substr(equals + 1));
                int nth = 1;
                if (const auto at = action.find('@'); at != std::string::npos) {
                    nth = std::atoi(action.c_str() + at + 1);
                    action.resize(at);
                }
                armed[std::string(entry.substr(0, equals))] = {action, nth};
            }
        }
        active = record >= 0 || !armed.empty();
    }

    void note(std::string_view word, std::string_view name) const {
        if (record >= 0) {
            const std::string line = std::string(word) + " " + std::string(name) + " " +
                                     std::to_string(::getpid()) + "\n";
            [[maybe_unused]] const auto written = ::write(record, line.data(), line.size());
        }
    }

    bool active = false;
    int record = -1;
    std::string path;
    std::map<std::string, Armed, std::less<>> armed;
    std::mutex mutex;
    std::map<std::string, int, std::less<>> hits;
};

Registry& registry() {
    static Registry instance;
    return instance;
}

void wait_for_resume(const Registry& reg, std::string_view name) {
    const std::string wanted = "resume " + std::string(name);
    while (true) {
        std::string content;
        if (const int fd = ::open(reg.path.c_str(), O_RDONLY | O_CLOEXEC); fd >= 0) {
            char buffer[4096];
            for (ssize_t n = 0; (n = ::read(fd, buffer, sizeof buffer)) > 0;) {
                content.append(buffer, static_cast<std::size_t>(n));
            }
            ::close(fd);
        }
        if (content.find(wanted) != std::string::npos) {
            return;
        }
        ::usleep(2000);
    }
}

}    // namespace

bool failpoints_active() {
    return registry().active;
}

Status failpoint(std::string_view name) {
    Registry& reg = registry();
    if (!reg.active) {
        return {};
    }
    std::string action;
    {
        const std::lock_guard lock(reg.mutex);
        const int count = ++reg.hits[std::string(name)];
        reg.note("hit", name);
        const auto found = reg.armed.find(name);
        if (found == reg.armed.end() || found->second.nth != count) {
            return {};
        }
        action = found->second.action;
        reg.note("fired", name);
    }
    if (action == "kill") {
        ::kill(::getpid(), SIGKILL);
    } else if (action == "pause") {
        wait_for_resume(reg, name);
    } else if (action == "error") {
        return fail(Code::unavailable, "injected fault at " + std::string(name));
    }
    return {};
}

Status failpoint(std::string_view prefix, std::string_view suffix) {
    if (!failpoints_active()) {
        return {};
    }
    return failpoint(std::string(prefix) + "." + std::string(suffix));
}

}    // namespace seatrial
