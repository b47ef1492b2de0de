// One check of a release, before users reach it and again once they are on it.
#pragma once

#include <chrono>
#include <map>
#include <string>

namespace seatrial::config {

struct ReleaseCheck {
    enum class Kind : unsigned char { get, job, sse, download, metric } kind = Kind::get;
    std::string path = "/";    // asked; of a job: posted to; {name} as in `poll`, of a job before
    int status = 0;            // expected; 0 = 2xx or 3xx
    std::string contains;      // get: text in the answer's body
    std::string body;          // job: what is posted; of `file` its bytes, once it was read
    std::string file;          // job: in the repository
    std::string field;         // job: `file` goes as this field of a form; "" = as the body
    std::string type;          // job: of what is posted; download: expected, without parameters
    std::string poll;          // job: asked until; {name} is a member of the post's answer
    std::map<std::string, std::string> until;    // job: members of the poll's answer
    std::string metric;                          // its name in Prometheus' text format
    int by = 1;           // metric: the least it grows while the other checks run
    int min_bytes = 1;    // download
    std::chrono::milliseconds within{10'000};
    bool operator==(const ReleaseCheck&) const = default;
};

}    // namespace seatrial::config
