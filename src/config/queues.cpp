#include "config/queues.h"

#include <algorithm>

#include "base/text.h"
#include "config/app.h"
#include "config/read.h"

namespace seatrial::config {
namespace {

// What a queue of each kind must say, and what it may not.
struct QueueKind {
    std::string_view word;
    ReleaseQueue::Kind kind;
    std::vector<std::string_view> must, not_both;
};
const std::vector<QueueKind>& kinds() {
    static const std::vector<std::string_view> named{"component", "url", "queues"};
    static const std::vector<std::string_view> told{"pause", "resume", "running"};
    static const std::vector<QueueKind> table{
        {"rq", ReleaseQueue::Kind::rq, named, told},
        {"celery", ReleaseQueue::Kind::celery, named, told},
        {"", ReleaseQueue::Kind::custom, told, {"url", "queues"}}};
    return table;
}

struct Faults {
    const std::string& name;
    std::vector<Fault>& list;
    void add(const Node& node, const std::string& key, std::string message, std::string remedy) {
        list.push_back({name, node.line, key, std::move(message), std::move(remedy), false});
    }
};

void check_component(const Node& node, const std::string& key, const std::string& component,
                     const std::set<std::string>& among, const char* what, Faults& faults) {
    if (component.empty() || among.contains(component)) {
        return;
    }
    const auto close = suggest(component, {among.begin(), among.end()});
    faults.add(node, key + ".component",
               "there is no component '" + excerpt(component) + "' with " + what,
               close ? "did you mean '" + *close + "'?" : "name one of this file");
}

// A text that begins with '/' is a path of the component, everything else a command.
ReleaseQueue::Ask read_ask(const Node& node, std::string_view key) {
    UserCommand command;
    read(node, key, command);
    if (command.text.starts_with('/')) {
        return {command.text, {}};
    }
    return {"", command.empty() ? std::vector<std::string>() : command.to_argv()};
}

bool has_list(const Node& node, std::string_view key) {
    const Node* list = node.find(key);
    return list != nullptr && (list->is_scalar() ? !list->text.empty() : !list->children.empty());
}

void check_shape(const Node& node, const QueueKind& kind, const std::string& key, Faults& faults) {
    const std::string what = kind.word.empty() ? "a queue without `kind`"
                                               : "a queue of kind `" + std::string(kind.word) + "`";
    for (const auto word : kind.must) {
        if (!has_list(node, word)) {
            faults.add(node, key, what + " needs `" + std::string(word) + "`",
                       kind.word.empty()
                           ? "for example: {pause: /queue/pause, resume: /queue/resume, running: "
                             "/queue/running}, or give it a kind: rq, celery"
                           : "for example: {kind: rq, component: worker, url: REDIS_URL, queues: "
                             "[default]}");
        }
    }
    for (const auto word : kind.not_both) {
        if (node.find(word) != nullptr) {
            faults.add(node, key + "." + std::string(word), "it says nothing about " + what,
                       "remove it");
        }
    }
}

ReleaseQueue read_queue(const Node& node, const ReleaseParts& parts, Faults& faults) {
    const std::string key = "release.queues." + node.key;
    std::string word;
    read(node, "kind", word);
    const auto kind = std::ranges::find(kinds(), word, &QueueKind::word);
    ReleaseQueue out;
    out.name = node.key;
    if (kind == kinds().end()) {
        return out;    // a fault already
    }
    out.kind = kind->kind;
    read(node, "component", out.component);
    read(node, "url", out.url);
    read(node, "queues", out.queues);
    out.pause = read_ask(node, "pause");
    out.resume = read_ask(node, "resume");
    out.running = read_ask(node, "running");
    read(node, "timeout", out.timeout);
    std::string consequence = "stop";
    read(node, "on_timeout", consequence);
    out.stop = consequence == "stop";
    check_shape(node, *kind, key, faults);
    const bool by_path =
        out.kind == ReleaseQueue::Kind::custom &&
        (!out.pause.path.empty() || !out.resume.path.empty() || !out.running.path.empty());
    check_component(node, key, out.component, by_path ? parts.with_port : parts.all,
                    by_path ? "a port in releases" : "`build` or `image`", faults);
    return out;
}

}    // namespace

std::vector<ReleaseQueue> read_queues(const Node& queues, const ReleaseParts& parts,
                                      const std::string& name, std::vector<Fault>& faults) {
    std::vector<ReleaseQueue> out;
    Faults found{name, faults};
    for (const auto& node : queues.children) {
        if (node.is_map()) {
            out.push_back(read_queue(node, parts, found));
        }
    }
    return out;
}

ReleaseCache read_cache(const Node& cache, const ReleaseParts& parts, const std::string& name,
                        std::vector<Fault>& faults) {
    Faults found{name, faults};
    ReleaseCache out;
    read(cache, "component", out.component);
    read(cache, "url", out.url);
    read(cache, "prefixes", out.prefixes);
    check_component(cache, "release.cache", out.component, parts.all, "`build` or `image`", found);
    if (out.prefixes.empty()) {
        found.add(cache, "release.cache.prefixes", "there is no prefix", "for example: [\"job:\"]");
    }
    for (const auto& prefix : out.prefixes) {
        if (prefix.empty() || prefix.find_first_of("*?[]\\") != std::string::npos) {
            found.add(cache, "release.cache.prefixes",
                      "'" + excerpt(prefix) + "' is not how keys of one kind begin",
                      "write the beginning as it is, without wildcards: \"job:\"");
        }
    }
    return out;
}

}    // namespace seatrial::config
