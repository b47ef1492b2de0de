#include "cli/event_lines.h"

#include <cstdio>
#include <nlohmann/json.hpp>
#include <vector>

#include "base/clock.h"
#include "base/text.h"
#include "cli/output.h"

namespace seatrial::cli {
namespace {

using nlohmann::json;
using Texts = std::vector<std::string>;

std::string number(const json& data, const char* name) {
    return std::to_string(data.value(name, 0LL));
}

std::string took(const json& data) {
    return render_duration(std::chrono::milliseconds(data.value("ms", 0LL)));
}

std::string slot_of(const json& data) {
    return "slot " + text_of(data, "slot");
}

std::string names(const json& data, const char* name) {
    return printable(join(data.value(name, Texts()), ", "));
}

// "convert 2, export 0"
std::string counts(const json& data, const char* name) {
    std::string out;
    const json all = data.value(name, json::object());
    for (const auto& [queue, count] : all.items()) {
        out +=
            (out.empty() ? "" : ", ") + printable(queue) + " " + (count == -1 ? "?" : count.dump());
    }
    return out;
}

std::string migrating(const json& data) {
    std::string out = "migrating the database";
    for (const auto& note : data.value("notes", Texts())) {
        out += "\n    " + printable(note);
    }
    return out;
}

std::string restored(const json& data) {
    const std::string lost = text_of(data, "lost");
    const std::string kept = text_of(data, "kept");
    return "the database is that of " + text_of(data, "snapshot") +
           "; lost: " + (lost.empty() ? "nothing" : lost + "; the copy " + kept + " has it");
}

std::string snapshot(const json& data) {
    return "kept a copy of the database, " + megabytes(data.value("bytes", 0LL)) + " in " +
           took(data) + ": " + text_of(data, "file");
}

std::string deploy(const json& data) {
    std::string out;
    for (const auto& [list, before] :
         {std::pair("differences", "allowed: "), std::pair("notes", "note: ")}) {
        for (const auto& note : data.value(list, Texts())) {
            out += (out.empty() ? "" : "\n  ") + std::string(before) + printable(note);
        }
    }
    return out;
}

std::string share(const json& data) {
    const int per_mille = data.value("per_mille", 0);
    return std::to_string(per_mille / 10) +
           (per_mille % 10 == 0 ? "" : "." + std::to_string(per_mille % 10)) +
           " % of the users are on it";
}

std::string switched(const json& data) {
    char time[32];
    std::snprintf(time, sizeof time, "%.1f ms",
                  static_cast<double>(data.value("switch_us", 0LL)) / 1000);
    return "users are on " + text_of(data, "tag") + " (switched in " + time + ")";
}

std::string receipt(const json& data) {
    std::string out = "receipt: " + number(data, "requests") + " requests in the last 5 minutes, " +
                      number(data, "failed") + " failed";
    if (const json queues = data.value("queues", json()); queues.is_object()) {
        out += "; queues were paused for " + took(queues) + ", ran: " + counts(queues, "ran");
    }
    for (const auto& gate : data.value("gates", Texts())) {
        out += "; " + printable(gate);
    }
    return out;
}

std::string approval(const json& data) {
    const std::string state = text_of(data, "state");
    const std::string why = text_of(data, state == "open" ? "reason" : "decision_reason");
    return (state == "open" ? "asked for an approval" : state) + ": " + text_of(data, "tag") +
           (why.empty() ? "" : " (" + why + ")");
}

std::string queues_idle(const json& data) {
    const std::string left = counts(data, "left");
    return "queues paused for " + took(data) + "; ran: " + counts(data, "ran") +
           (left.empty() ? "" : "; still: " + left);
}

struct Line {
    std::string_view kind;
    std::string (*render)(const json& data);
};
constexpr Line lines[] = {
    {"starting",
     [](const json& data) { return "starting " + text_of(data, "tag") + " in " + slot_of(data); }},
    {"healthy", [](const json& data) { return "healthy after " + took(data); }},
    {"snapshot", snapshot},
    {"restore",
     [](const json& data) {
         return "puts " + text_of(data, "snapshot") + " back" +
                (data.value("discard", false) ? ", whatever was written since" : "");
     }},
    {"restored", restored},
    {"restore_refused",
     [](const json& data) {
         return text_of(data, "snapshot") + " was not put back: " + text_of(data, "message", true);
     }},
    {"migrating", migrating},
    {"migrated", [](const json& data) { return "the database is migrated, " + took(data); }},
    {"deploy", deploy},
    {"checked",
     [](const json& data) {
         return number(data, "checks") + " smoke checks passed, unseen by users";
     }},
    {"proved",
     [](const json& data) {
         return number(data, "checks") + " checks passed again, with users on it";
     }},
    {"share", share},
    {"switched", switched},
    {"drained", [](const json& data) { return slot_of(data) + " is drained, kept warm"; }},
    {"closed",
     [](const json& data) { return slot_of(data) + ": open requests were ended, kept warm"; }},
    {"resting",
     [](const json& data) {
         return slot_of(data) +
                " takes no more jobs; workers that finish theirs: " + number(data, "workers");
     }},
    {"ended",
     [](const json& data) {
         return slot_of(data) + ": workers ended by force before their job was done: " +
                std::to_string(data.value("workers", Texts()).size());
     }},
    {"roused", [](const json& data) { return slot_of(data) + ": its workers are started again"; }},
    {"queues_pausing", [](const json& data) { return "pausing queues: " + names(data, "queues"); }},
    {"queues_running", [](const json& data) { return "running: " + counts(data, "running"); }},
    {"queues_idle", queues_idle},
    {"queues_left",
     [](const json& data) { return "goes on all the same: " + text_of(data, "message", true); }},
    {"queues_resumed", [](const json& data) { return "queues go on after " + took(data); }},
    {"queues_stuck",
     [](const json& data) { return text_of(data, "message", true) + "; tried again and again"; }},
    {"cache_reset",
     [](const json& data) {
         return number(data, "keys") + " keys dropped from the cache (" + names(data, "prefixes") +
                ")";
     }},
    {"cache_kept",
     [](const json& data) { return "the cache was not reset: " + text_of(data, "message", true); }},
    {"receipt", receipt},
    {"approval", approval},
    {"revived",
     [](const json& data) { return slot_of(data) + " ended by itself and was started again"; }},
    {"lost",
     [](const json& data) {
         return text_of(data, "tag") +
                " cannot be gone back to any more: " + text_of(data, "message", true);
     }},
    {"hold_lifted", [](const json&) { return std::string("automation may deploy again"); }},
    {"waiting", [](const json& data) { return "waiting: " + text_of(data, "message"); }},
};

}    // namespace

std::string line_of(const std::string& kind, const json& data) {
    for (const auto& line : lines) {
        if (line.kind == kind) {
            return line.render(data);
        }
    }
    return "";
}

}    // namespace seatrial::cli
