#include "http/router.h"

#include <algorithm>

#include "base/text.h"

namespace seatrial::http {
namespace {

bool is_capture(std::string_view part) {
    return part.size() > 2 && part.front() == '{' && part.back() == '}';
}

bool is_rest(std::string_view part) {
    return is_capture(part) && part.ends_with("*}");
}

std::string_view capture_name(std::string_view part) {
    return part.substr(1, part.size() - (is_rest(part) ? 3 : 2));
}

bool match(const std::vector<std::string>& parts, const std::vector<std::string>& segments,
           Pairs& params) {
    params.clear();
    for (std::size_t i = 0; i < parts.size(); ++i) {
        if (is_rest(parts[i])) {
            const auto from = segments.begin() + static_cast<std::ptrdiff_t>(i);
            params.emplace_back(capture_name(parts[i]),
                                join(std::vector<std::string>(from, segments.end()), "/"));
            return true;
        }
        if (i >= segments.size()) {
            return false;
        }
        if (!is_capture(parts[i])) {
            if (parts[i] != segments[i]) {
                return false;
            }
        } else if (segments[i].empty()) {
            return false;
        } else {
            params.emplace_back(capture_name(parts[i]), segments[i]);
        }
    }
    return segments.size() == parts.size();
}

}    // namespace

Router::Router(std::vector<Route> routes) {
    for (auto& route : routes) {
        check(route.pattern.starts_with('/'), "route pattern starts with a slash");
        check(route.kind == RouteKind::stream ? route.stream != nullptr : route.handler != nullptr,
              "route has the handler of its kind");
        std::vector<std::string> parts;
        if (route.pattern.size() > 1) {
            for (const auto part : split(std::string_view(route.pattern).substr(1), '/')) {
                parts.emplace_back(part);
            }
        }
        for (std::size_t i = 0; i + 1 < parts.size(); ++i) {
            check(!is_rest(parts[i]), "only the last part of a route takes the rest");
        }
        rows_.push_back({std::move(route), std::move(parts)});
    }
}

const Route* Router::find(Request& request, Response& refusal) const {
    std::vector<std::string> allowed;
    for (const auto& row : rows_) {
        if (!match(row.parts, request.segments, request.params)) {
            continue;
        }
        const bool head = request.method == "HEAD" && row.route.method == "GET" &&
                          row.route.kind != RouteKind::stream;
        if (row.route.method == request.method || head) {
            return &row.route;
        }
        if (std::find(allowed.begin(), allowed.end(), row.route.method) == allowed.end()) {
            allowed.push_back(row.route.method);
        }
    }
    request.params.clear();
    if (allowed.empty()) {
        refusal = problem(404, "not_found", "there is nothing at " + printable(request.path));
        return nullptr;
    }
    refusal = problem(405, "invalid",
                      printable(request.method) + " is not possible at " + printable(request.path));
    refusal.headers.emplace_back("allow", join(allowed, ", "));
    return nullptr;
}

}    // namespace seatrial::http
