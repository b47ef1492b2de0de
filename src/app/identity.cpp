#include "app/identity.h"

#include <fcntl.h>
#include <pwd.h>
#include <sys/file.h>
#include <unistd.h>

#include <cstdlib>

#include "base/names.h"
#include "base/text.h"
#include "crypto/crypto.h"

namespace seatrial::app {
namespace {

std::string machine_id() {
    return std::string(trim(read_file("/etc/machine-id", 256).value_or("")));
}

}    // namespace

std::filesystem::path default_data() {
    if (const char* data = std::getenv("SEATRIAL_DATA"); data != nullptr && *data != '\0') {
        return std::filesystem::absolute(data);
    }
    if (::geteuid() == 0) {
        return "/var/lib/seatrial";
    }
    if (const char* state = std::getenv("XDG_STATE_HOME"); state != nullptr && *state == '/') {
        return std::filesystem::path(state) / "seatrial";
    }
    const char* home = std::getenv("HOME");
    if (home == nullptr) {
        const passwd* user = ::getpwuid(::geteuid());
        home = user == nullptr ? "/tmp" : user->pw_dir;
    }
    return std::filesystem::path(home) / ".local/state/seatrial";
}

Result<Fd> lock_data(const std::filesystem::path& data) {
    const auto path = data / "lock";
    Fd fd(::open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0644));
    if (!fd) {
        return fail_errno("cannot open " + path.string(), errno);
    }
    if (::flock(fd.get(), LOCK_EX | LOCK_NB) != 0) {
        const std::string holder(trim(read_file(path, 64).value_or("")));
        return fail(Code::conflict,
                    "another seatrial (pid " + holder + ") already serves " + data.string(),
                    "use it, stop it with SIGTERM, or choose another folder with --data");
    }
    const std::string pid = std::to_string(::getpid()) + "\n";
    if (::ftruncate(fd.get(), 0) != 0 ||
        ::pwrite(fd.get(), pid.data(), pid.size(), 0) != static_cast<ssize_t>(pid.size())) {
        return fail_errno("cannot write " + path.string(), errno);
    }
    return fd;
}

Result<Instance> open_instance(const std::filesystem::path& data) {
    const auto path = data / "instance";
    auto text = read_file(path, 1024);
    if (!text && text.error().code != Code::not_found) {
        return tl::unexpected(std::move(text).error());
    }
    if (!text) {
        Instance instance;
        instance.id = make_instance_id(static_cast<std::uint32_t>(crypto::random_u64()));
        TRY(adopt_machine(data, instance.id));
        return instance;
    }
    const auto lines = split(*text, '\n');
    Instance instance;
    instance.id = std::string(trim(lines[0]));
    if (instance.id.size() != 6 || slug(instance.id, 6) != instance.id) {
        return fail(Code::invalid, path.string() + " does not hold an instance id",
                    "restore the file from a backup; without it nothing of ours can be found");
    }
    instance.moved = lines.size() > 1 && trim(lines[1]) != machine_id();
    return instance;
}

Status adopt_machine(const std::filesystem::path& data, const std::string& id) {
    return write_file_atomic(data / "instance", id + "\n" + machine_id() + "\n");
}

Result<Secret> open_key(const std::filesystem::path& data) {
    const auto path = data / "instance.key";
    auto text = read_file(path, 256);
    if (text) {
        return Secret(std::string(trim(*text)));
    }
    if (text.error().code != Code::not_found) {
        return tl::unexpected(std::move(text).error());
    }
    const std::string key = crypto::random_hex(32);
    TRY(write_file_atomic(path, key + "\n", 0600));
    return Secret(key);
}

std::string boot_id() {
    return std::string(trim(read_file("/proc/sys/kernel/random/boot_id", 64).value_or("")));
}

}    // namespace seatrial::app
