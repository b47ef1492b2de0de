// What the daemon and the helper say to each other. The helper reads it as hostile input: the
// daemon may have been taken over, so every length is bounded and every rest is refused.
//
// A request is one datagram of one byte (the verb) on the control socket, with descriptors:
// first the reply socket, then a memory file with the fields, then what the verb needs. The
// reply is one datagram on the reply socket; its end without a reply means that the request died.
#pragma once

#include <sys/types.h>

#include <chrono>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/context.h"
#include "base/file.h"
#include "process/run_spec.h"

namespace seatrial::process {

enum class Verb : char { hello = 1, run, kill, forget, own, remove, mount, umount, census, root };

inline constexpr std::size_t max_request = 2 << 20;    // bytes of fields
inline constexpr std::size_t max_texts = 65536;        // entries of a list
inline constexpr std::size_t max_fds = 8;
inline constexpr std::size_t max_reply = 60000;

class WireWriter {
public:
    void number(std::int64_t value);
    void text(std::string_view value);
    void texts(const std::vector<std::string>& values);
    const std::string& bytes() const { return bytes_; }

private:
    std::string bytes_;
};

// After the first field that does not fit, ok() is false and every field is empty.
class WireReader {
public:
    explicit WireReader(std::string_view bytes) : left_(bytes) {}
    std::int64_t number();
    std::int64_t number(std::int64_t least, std::int64_t most);    // outside: not ok
    std::string text();                                            // a NUL byte inside: not ok
    std::string blob();                                            // any bytes
    std::vector<std::string> texts();
    bool ok() const { return ok_; }
    bool done() const { return ok_ && left_.empty(); }

private:
    std::string_view take(std::size_t size);
    std::string_view left_;
    bool ok_ = true;
};

// Paths as in process/roots.h. Descriptors: run folder, lock, log, and the seccomp
// program when has_seccomp.
struct RunRequest {
    std::string name;
    Profile profile = Profile::component;
    int uid_slot = -1;
    Limits limits;
    std::vector<std::string> argv;
    std::vector<std::string> env;
    std::string cwd;
    std::vector<std::string> writable;
    std::int64_t log_bytes = 0;
    std::vector<int> tcp_bind;
    bool has_seccomp = false;
    std::string tmp;                   // "": a tmpfs
    std::vector<std::string> shown;    // absolute
};
std::string encode(const RunRequest& request);
Result<RunRequest> decode_run(std::string_view bytes);

// The shim and the pipe are what the daemon read in the run's state; they only count where no
// cgroup tells the run's processes.
struct KillRequest {
    std::string name;
    std::chrono::milliseconds grace{0};
    std::chrono::milliseconds timeout{0};
    pid_t shim = 0;
    std::uint64_t shim_start = 0;
    std::uint64_t pipe = 0;
};
std::string encode(const KillRequest& request);
Result<KillRequest> decode_kill(std::string_view bytes);

// own, remove, mount, umount, forget, census, root: some texts and a number.
struct PlainRequest {
    std::vector<std::string> texts;
    std::int64_t number = 0;
};
std::string encode(const PlainRequest& request);
Result<PlainRequest> decode_plain(std::string_view bytes, std::size_t texts);

// Success carries `data` as the verb defines it.
std::string encode_reply(const Result<std::string>& reply);
Result<std::string> decode_reply(std::string_view bytes);

// One datagram with descriptors. receive_fds() answers nothing at the end of the stream.
Status send_fds(int socket, std::string_view bytes, const std::vector<int>& fds,
                const Context& ctx);
struct Received {
    std::string bytes;
    std::vector<Fd> fds;
};
Result<Received> receive_fds(int socket, std::size_t limit);

}    // namespace seatrial::process
