#include "config/checks.h"

#include <algorithm>

#include "base/text.h"
#include "config/read.h"

namespace seatrial::config {
namespace {

using namespace std::chrono_literals;

constexpr std::size_t fault_limit = 50;

// The word that makes a check one of its kind, and what else it may and must say.
struct CheckKind {
    std::string_view word;
    ReleaseCheck::Kind kind;
    std::string_view may;
    std::string_view must;
};
constexpr CheckKind kinds[] = {
    {"get", ReleaseCheck::Kind::get, "status|contains|within", ""},
    {"post", ReleaseCheck::Kind::job, "status|body|file|field|type|poll|until|within",
     "poll|until"},
    {"sse", ReleaseCheck::Kind::sse, "within", ""},
    {"download", ReleaseCheck::Kind::download, "status|type|min_bytes|within", ""},
    {"metric", ReleaseCheck::Kind::metric, "name|by|within", "name"},
};

bool among(std::string_view words, std::string_view word) {
    const auto list = split(words, '|');
    return std::ranges::find(list, word) != list.end();
}

// What is wrong with it; "" when nothing is.
std::string problem_of(const Node& node, const CheckKind*& kind) {
    for (const auto& row : kinds) {
        if (node.find(row.word) == nullptr) {
            continue;
        }
        if (kind != nullptr) {
            return "it has both `" + std::string(kind->word) + "` and `" + std::string(row.word) +
                   "`";
        }
        kind = &row;
    }
    if (kind == nullptr) {
        return "it has none of get, post, sse, download, metric";
    }
    for (const auto& child : node.children) {
        if (child.key != kind->word && !among(kind->may, child.key)) {
            return "`" + excerpt(child.key) + "` says nothing about `" + std::string(kind->word) +
                   "`";
        }
    }
    for (const auto word : split(kind->must, '|')) {
        if (!word.empty() && node.find(word) == nullptr) {
            return "`" + std::string(kind->word) + "` needs `" + std::string(word) + "`";
        }
    }
    if (node.find("file") != nullptr && node.find("body") != nullptr) {
        return "it has both `body` and `file`";
    }
    if (node.find("field") != nullptr && node.find("file") == nullptr) {
        return "`field` needs `file`";
    }
    return "";
}

bool names_member(const Node& node, const CheckKind& kind) {
    return kind.kind != ReleaseCheck::Kind::metric &&
           node.find(kind.word)->text.find('{') != std::string::npos;
}

ReleaseCheck read_check(const Node& node, const CheckKind& kind) {
    ReleaseCheck out;
    out.kind = kind.kind;
    if (kind.kind == ReleaseCheck::Kind::sse) {
        out.within = 2s;
    }
    if (kind.kind == ReleaseCheck::Kind::job) {
        const bool file = node.find("file") != nullptr;
        out.type = file ? "application/octet-stream" : "application/json";
    }
    read(node, kind.word, out.path);
    read(node, "status", out.status);
    read(node, "contains", out.contains);
    read(node, "body", out.body);
    read_path(node, "file", out.file);
    read(node, "field", out.field);
    read(node, "type", out.type);
    read(node, "poll", out.poll);
    read(node, "until", out.until);
    read(node, "name", out.metric);
    read(node, "by", out.by);
    std::int64_t bytes = out.min_bytes;
    read_size(node, "min_bytes", bytes);
    out.min_bytes = static_cast<int>(std::clamp<std::int64_t>(bytes, 1, 16 << 20));
    read(node, "within", out.within);
    return out;
}

}    // namespace

std::vector<ReleaseCheck> read_checks(const Node& list, const std::string& name,
                                      std::vector<Fault>& faults) {
    std::vector<ReleaseCheck> out;
    std::size_t found = 0;
    bool job = false;    // came before
    for (std::size_t i = 0; i < list.children.size() && found < fault_limit; ++i) {
        const Node& node = list.children[i];
        if (!node.is_map()) {
            continue;    // a fault already
        }
        const CheckKind* kind = nullptr;
        std::string problem = problem_of(node, kind);
        if (problem.empty() && kind != nullptr && !job && names_member(node, *kind)) {
            problem = "its path names a member of a job's answer, and no `post` comes before it";
        }
        job = job || (kind != nullptr && kind->kind == ReleaseCheck::Kind::job);
        if (!problem.empty() || kind == nullptr) {
            faults.push_back({name, node.line, "release.checks[" + std::to_string(i) + "]", problem,
                              "for example: {get: /readyz, status: 200}", false});
            ++found;
        } else {
            out.push_back(read_check(node, *kind));
        }
    }
    return out;
}

}    // namespace seatrial::config
