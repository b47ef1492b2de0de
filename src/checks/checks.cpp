#include "checks/checks.h"

#include <algorithm>
#include <charconv>
#include <cmath>
#include <nlohmann/json.hpp>

#include "base/text.h"
#include "checks/form.h"
#include "crypto/crypto.h"

namespace seatrial::checks {
namespace {

using config::ReleaseCheck;
using nlohmann::json;
using std::chrono::milliseconds;

constexpr milliseconds pause{200};
constexpr std::size_t answer_limit = 16 << 20;
constexpr std::size_t longest_value = 60;

// What a request needs besides its check.
struct Asker {
    const Target& target;
    net::Client client = net::Client();
    json posted{};    // what the last job was answered with

    net::ClientRequest request(const std::string& path) const {
        net::ClientRequest out;
        out.url = target.url + path;
        out.headers = target.headers;
        out.any_certificate = target.any_certificate;
        out.answer_limit = answer_limit;
        return out;
    }
};

std::string cut(std::string_view text) {
    return printable(text.substr(0, longest_value)) + (text.size() > longest_value ? "..." : "");
}

std::string in_time(milliseconds within) {
    return within.count() % 1000 == 0 ? std::to_string(within.count() / 1000) + " s"
                                      : std::to_string(within.count()) + " ms";
}

bool fits(const ReleaseCheck& check, int status) {
    return check.status == 0 ? status >= 200 && status < 400 : status == check.status;
}

std::string answered(int status) {
    return "answered " + std::to_string(status);
}

std::string no_answer(const ReleaseCheck& check, const Error& error) {
    return error.code == Code::timed_out ? "did not answer within " + in_time(check.within)
                                         : "got no answer: " + cut(error.message);
}

// Each of the following gives what was wrong, "" when nothing was.

std::string check_get(const ReleaseCheck& check, Asker& asker, const Context& limited) {
    const auto answer = asker.client.request(asker.request(check.path), limited);
    if (!answer) {
        return no_answer(check, answer.error());
    }
    if (!fits(check, answer->status)) {
        return answered(answer->status);
    }
    if (!check.contains.empty() && answer->body.find(check.contains) == std::string::npos) {
        return answered(answer->status) + " without the text '" + cut(check.contains) + "'";
    }
    return "";
}

// "" when it is not there, or no plain value: one that is nested deeply would end us when dumped.
std::string member(const json& object, const std::string& name) {
    const auto found = object.find(name);
    if (found == object.end() || found->is_structured()) {
        return "";
    }
    return found->is_string() ? found->get<std::string>() : found->dump();
}

std::string await_job(const ReleaseCheck& check, const std::string& path, Asker& asker,
                      const Context& limited) {
    std::string seen = "was never asked";
    while (true) {
        const auto answer = asker.client.request(asker.request(path), limited);
        if (answer) {
            const json state = json::parse(answer->body, nullptr, false);
            seen = answered(answer->status);
            bool done = answer->status >= 200 && answer->status < 300 && state.is_object();
            for (const auto& [name, value] : check.until) {
                const std::string now = state.is_object() ? member(state, name) : "";
                seen += ", " + name + (now.empty() ? " is no text" : "=" + cut(now));
                done = done && now == value;
            }
            if (done) {
                return "";
            }
        } else if (answer.error().code != Code::timed_out) {
            seen = no_answer(check, answer.error());
        }
        if (!wait_for(pause, limited)) {
            return "was not done within " + in_time(check.within) + ": the job " + seen;
        }
    }
}

std::string check_job(const ReleaseCheck& check, Asker& asker, const Context& limited) {
    auto request = asker.request(check.path);
    request.method = "POST";
    request.body = check.body;
    std::string type = check.type;
    if (!check.field.empty()) {
        auto form = make_form(check.field, check.file, check.type, check.body);
        request.body = std::move(form.body);
        type = std::move(form.type);
    }
    request.headers.emplace_back("content-type", type);
    asker.posted = json();
    const auto answer = asker.client.request(request, limited);
    if (!answer) {
        return no_answer(check, answer.error());
    }
    if (!fits(check, answer->status)) {
        return answered(answer->status);
    }
    asker.posted = json::parse(answer->body, nullptr, false);
    const auto path = fill_path(check.poll, asker.posted);
    if (!path) {
        return answered(answer->status) + " without what " + cut(check.poll) + " names";
    }
    return await_job(check, *path, asker, limited);
}

std::string check_sse(const ReleaseCheck& check, Asker& asker, const Context& limited) {
    bool came = false;
    const auto answer = asker.client.listen(
        asker.request(check.path), "",
        [&](const net::Event&) {
            came = true;
            return false;
        },
        limited);
    if (came) {
        return "";
    }
    if (!answer) {
        return answer.error().code == Code::timed_out
                   ? "sent no event within " + in_time(check.within)
                   : no_answer(check, answer.error());
    }
    return answered(answer->status) + " and sent no event";
}

std::string check_download(const ReleaseCheck& check, Asker& asker, const Context& limited) {
    const auto answer = asker.client.request(asker.request(check.path), limited);
    if (!answer) {
        return no_answer(check, answer.error());
    }
    if (!fits(check, answer->status)) {
        return answered(answer->status);
    }
    const std::string_view type = answer->header("content-type").value_or("");
    if (!check.type.empty() && trim(type.substr(0, type.find(';'))) != check.type) {
        return "came as '" + cut(type) + "', not " + cut(check.type);
    }
    if (answer->body.size() < static_cast<std::size_t>(check.min_bytes)) {
        return "has " + std::to_string(answer->body.size()) + " bytes, fewer than " +
               std::to_string(check.min_bytes);
    }
    return "";
}

// What the metric is now; nullopt with `seen` when that cannot be told.
std::optional<double> read_metric(const ReleaseCheck& check, Asker& asker, const Context& limited,
                                  std::string& seen) {
    const auto answer = asker.client.request(asker.request(check.path), limited);
    if (!answer || !fits(check, answer->status)) {
        seen = answer ? answered(answer->status) : no_answer(check, answer.error());
        return std::nullopt;
    }
    // Many counters appear with their first event.
    return metric_sum(answer->body, check.metric).value_or(0);
}

std::string check_moved(const ReleaseCheck& check, const std::optional<double>& before,
                        Asker& asker, const Context& limited) {
    std::string seen = "could not be read before the other checks";
    while (before) {
        const auto now = read_metric(check, asker, limited, seen);
        if (now && *now >= *before + check.by) {
            return "";
        }
        if (now) {
            seen = cut(check.metric) + " grew by " + json(*now - *before).dump() + ", not by " +
                   std::to_string(check.by);
        }
        if (!wait_for(pause, limited)) {
            break;
        }
    }
    return seen;
}

std::string name_of(const ReleaseCheck& check) {
    switch (check.kind) {
        case ReleaseCheck::Kind::get: return "GET " + cut(check.path);
        case ReleaseCheck::Kind::job: return "job POST " + cut(check.path);
        case ReleaseCheck::Kind::sse: return "event stream " + cut(check.path);
        case ReleaseCheck::Kind::download: return "download " + cut(check.path);
        case ReleaseCheck::Kind::metric:
            return "metric " + cut(check.metric) + " of " + cut(check.path);
    }
    return "";
}

std::string one(ReleaseCheck check, const std::optional<double>& before, Asker& asker,
                const Context& limited) {
    if (check.kind != ReleaseCheck::Kind::metric) {
        const auto path = fill_path(check.path, asker.posted);
        if (!path) {
            return "names what no job before it was answered with";
        }
        check.path = *path;
    }
    switch (check.kind) {
        case ReleaseCheck::Kind::get: return check_get(check, asker, limited);
        case ReleaseCheck::Kind::job: return check_job(check, asker, limited);
        case ReleaseCheck::Kind::sse: return check_sse(check, asker, limited);
        case ReleaseCheck::Kind::download: return check_download(check, asker, limited);
        case ReleaseCheck::Kind::metric: return check_moved(check, before, asker, limited);
    }
    return "is of no known kind";
}

}    // namespace

Result<std::vector<Outcome>> run(const std::vector<ReleaseCheck>& checks, const Target& target,
                                 const Context& ctx) {
    Asker asker{target};
    std::vector<std::optional<double>> before(checks.size());
    for (std::size_t i = 0; i < checks.size(); ++i) {
        if (checks[i].kind == ReleaseCheck::Kind::metric) {
            std::string seen;
            before[i] = read_metric(checks[i], asker, ctx.with_timeout(checks[i].within), seen);
        }
    }
    std::vector<Outcome> out(checks.size());
    for (const bool metrics : {false, true}) {
        for (std::size_t i = 0; i < checks.size(); ++i) {
            if ((checks[i].kind == ReleaseCheck::Kind::metric) != metrics) {
                continue;
            }
            TRY(ctx.ok());
            const std::string wrong =
                one(checks[i], before[i], asker, ctx.with_timeout(checks[i].within));
            out[i] = {name_of(checks[i]), wrong.empty(), wrong.empty() ? "passed" : wrong};
        }
    }
    TRY(ctx.ok());
    return out;
}

std::string render_failures(const std::vector<Outcome>& outcomes) {
    std::string out;
    for (const auto& outcome : outcomes) {
        if (!outcome.good) {
            out += (out.empty() ? "" : "\n") + outcome.check + " " + outcome.seen;
        }
    }
    return out;
}

std::optional<double> metric_sum(std::string_view text, std::string_view name) {
    std::optional<double> out;
    for (const std::string_view raw : split(text, '\n')) {
        std::string_view line = trim(raw);
        if (name.empty() || !line.starts_with(name)) {
            continue;
        }
        line.remove_prefix(name.size());
        if (line.starts_with('{')) {
            // Labels' values may hold braces and escaped quotes.
            bool quoted = false;
            std::size_t at = 1;
            for (; at < line.size() && (quoted || line[at] != '}'); ++at) {
                quoted = line[at] == '"' ? !quoted : quoted;
                at += quoted && line[at] == '\\' ? 1 : 0;
            }
            line.remove_prefix(std::min(at + 1, line.size()));
        } else if (!line.starts_with(' ') && !line.starts_with('\t')) {
            continue;    // another metric whose name begins so
        }
        line = trim(line);
        double value = 0;
        const auto read = std::from_chars(line.data(), line.data() + line.size(), value);
        if (read.ec == std::errc() && std::isfinite(value)) {
            out = out.value_or(0) + value;
        }
    }
    return out;
}

std::optional<std::string> fill_path(std::string_view path, const json& members) {
    std::string out;
    while (!path.empty()) {
        const auto open = path.find('{');
        const auto close = open == std::string_view::npos ? open : path.find('}', open);
        if (close == std::string_view::npos) {
            break;
        }
        out += path.substr(0, open);
        const std::string name(path.substr(open + 1, close - open - 1));
        if (!members.is_object() || !members.contains(name) ||
            (!members[name].is_string() && !members[name].is_number_integer())) {
            return std::nullopt;
        }
        constexpr std::string_view hex = "0123456789ABCDEF";
        for (const char c : member(members, name)) {
            const auto byte = static_cast<unsigned char>(c);
            const bool plain = (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') ||
                               (c >= 'A' && c <= 'Z') || c == '-' || c == '_' || c == '.';
            out += plain ? std::string(1, c) : std::string{'%', hex[byte >> 4U], hex[byte & 15U]};
        }
        path.remove_prefix(close + 1);
    }
    return out + std::string(path);
}

json to_json(const std::vector<ReleaseCheck>& checks) {
    json out = json::array();
    for (const auto& check : checks) {
        out.push_back({{"kind", static_cast<int>(check.kind)},
                       {"path", check.path},
                       {"status", check.status},
                       {"contains", check.contains},
                       {"body", check.file.empty() ? check.body : ""},
                       {"file", check.file},
                       {"content", check.file.empty() ? "" : crypto::base64url(check.body)},
                       {"field", check.field},
                       {"type", check.type},
                       {"poll", check.poll},
                       {"until", check.until},
                       {"metric", check.metric},
                       {"by", check.by},
                       {"min_bytes", check.min_bytes},
                       {"within_ms", check.within.count()}});
    }
    return out;
}

std::vector<ReleaseCheck> checks_of(const json& in) {
    std::vector<ReleaseCheck> out;
    for (const auto& row : in) {
        ReleaseCheck& check = out.emplace_back();
        if (row.is_string()) {
            check.path = row;
            continue;
        }
        check.kind = static_cast<ReleaseCheck::Kind>(row.at("kind").get<int>());
        check.path = row.at("path");
        check.status = row.at("status");
        check.contains = row.at("contains");
        check.body = row.at("body");
        check.file = row.value("file", "");
        check.field = row.value("field", "");
        if (!check.file.empty()) {
            check.body = crypto::parse_base64url(row.at("content").get<std::string>()).value_or("");
        }
        check.type = row.at("type");
        check.poll = row.at("poll");
        check.until = row.at("until");
        check.metric = row.at("metric");
        check.by = row.at("by");
        check.min_bytes = row.at("min_bytes");
        check.within = milliseconds(row.at("within_ms").get<std::int64_t>());
    }
    return out;
}

}    // namespace seatrial::checks
