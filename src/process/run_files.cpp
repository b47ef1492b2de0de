#include "process/run_files.h"

#include <fcntl.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <charconv>
#include <cstdio>
#include <map>

#include "base/text.h"

namespace seatrial::process {
namespace {

using Fields = std::map<std::string_view, std::string_view>;

// Lines "key value"; the last line is "end", so that a cut file is known.
std::optional<Fields> parse_fields(std::string_view text) {
    Fields fields;
    for (const auto line : split(text, '\n')) {
        if (line == "end") {
            return fields;
        }
        const auto blank = line.find(' ');
        if (blank == std::string_view::npos) {
            return std::nullopt;
        }
        fields[line.substr(0, blank)] = line.substr(blank + 1);
    }
    return std::nullopt;
}

template <class Number>
bool take(const Fields& fields, std::string_view key, Number& value) {
    const auto found = fields.find(key);
    if (found == fields.end()) {
        return false;
    }
    const auto text = found->second;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
    return error == std::errc{} && end == text.data() + text.size();
}

bool take_time(const Fields& fields, std::string_view key, WallTime& value) {
    std::int64_t millis = 0;
    const bool ok = take(fields, key, millis);
    value = WallTime(std::chrono::milliseconds(millis));
    return ok;
}

struct flock whole_file(short type) {
    struct flock lock{};
    lock.l_type = type;
    lock.l_whence = SEEK_SET;
    return lock;
}

constexpr std::array<const char*, 3> profile_names{"component", "tool", "edge"};

}    // namespace

std::string render_record(const RunRecord& record) {
    return "boot_id " + record.boot_id + "\nshim " + std::to_string(record.shim) + "\nshim_start " +
           std::to_string(record.shim_start) + "\npipe " + std::to_string(record.pipe) + "\nuid " +
           std::to_string(record.uid) + "\nprofile " +
           profile_names.at(static_cast<std::size_t>(record.profile)) + "\nstarted_at " +
           std::to_string(record.started_at.time_since_epoch().count()) + "\ncgroup " +
           record.cgroup + "\nend\n";
}

std::optional<RunRecord> parse_record(std::string_view text) {
    const auto fields = parse_fields(text);
    RunRecord record;
    if (!fields || !take(*fields, "shim", record.shim) ||
        !take(*fields, "shim_start", record.shim_start) || !take(*fields, "pipe", record.pipe) ||
        !take(*fields, "uid", record.uid) || !take_time(*fields, "started_at", record.started_at) ||
        !fields->contains("boot_id") || !fields->contains("profile")) {
        return std::nullopt;
    }
    record.boot_id = fields->at("boot_id");
    for (std::size_t i = 0; i < profile_names.size(); ++i) {
        if (fields->at("profile") == profile_names.at(i)) {
            record.profile = static_cast<Profile>(i);
        }
    }
    record.cgroup = fields->contains("cgroup") ? fields->at("cgroup") : "";
    return record;
}

std::string render_exit(const ExitRecord& record) {
    return "exit_code " + std::to_string(record.code) + "\nfinished_at " +
           std::to_string(record.finished_at.time_since_epoch().count()) + "\noom_killed " +
           (record.oom_killed ? "1" : "0") + "\nend\n";
}

std::optional<ExitRecord> parse_exit(std::string_view text) {
    const auto fields = parse_fields(text);
    ExitRecord record;
    int oom = 0;
    if (!fields || !take(*fields, "exit_code", record.code) ||
        !take_time(*fields, "finished_at", record.finished_at) ||
        !take(*fields, "oom_killed", oom)) {
        return std::nullopt;
    }
    record.oom_killed = oom != 0;
    return record;
}

// More than any of these files needs.
constexpr off_t reserved_bytes = 512;

Status reserve_run_file(const Fd& dir, const char* name) {
    const std::string tmp = std::string(name) + ".tmp";
    const Fd file(
        ::openat(dir.get(), tmp.c_str(), O_WRONLY | O_CREAT | O_NOFOLLOW | O_CLOEXEC, 0600));
    const int error = file ? ::posix_fallocate(file.get(), 0, reserved_bytes) : errno;
    return error == 0 ? Status{} : fail_errno("cannot reserve " + tmp, error);
}

Status write_run_file(const Fd& dir, const char* name, std::string_view content) {
    const std::string tmp = std::string(name) + ".tmp";
    const Fd file(
        ::openat(dir.get(), tmp.c_str(), O_WRONLY | O_CREAT | O_NOFOLLOW | O_CLOEXEC, 0600));
    if (!file) {
        return fail_errno("cannot write " + tmp, errno);
    }
    // Over what was reserved, cut afterwards: on a full disk there is no room but that.
    errno = 0;
    const auto size = static_cast<ssize_t>(content.size());
    if (::pwrite(file.get(), content.data(), content.size(), 0) != size ||
        ::ftruncate(file.get(), size) != 0) {
        return fail_errno("cannot write " + tmp, errno == 0 ? ENOSPC : errno);
    }
    if (::renameat(dir.get(), tmp.c_str(), dir.get(), name) != 0) {
        return fail_errno("cannot rename to " + std::string(name), errno);
    }
    return {};
}

Status take_lock(const Fd& fd) {
    struct flock lock = whole_file(F_WRLCK);
    if (::fcntl(fd.get(), F_OFD_SETLK, &lock) == 0) {
        return {};
    }
    return errno == EAGAIN || errno == EACCES ? fail(Code::conflict, "the run is alive")
                                              : fail_errno("cannot lock", errno);
}

Result<bool> is_locked(const Fd& fd) {
    struct flock lock = whole_file(F_WRLCK);
    if (::fcntl(fd.get(), F_OFD_GETLK, &lock) != 0) {
        return fail_errno("cannot ask for the lock", errno);
    }
    return lock.l_type != F_UNLCK;
}

}    // namespace seatrial::process
