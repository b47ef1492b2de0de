#include "admit/admit.h"

#include <array>

#include "base/text.h"

namespace seatrial::admit {
namespace {

int rank_of(std::string_view level) {
    constexpr std::array levels = {"basic", "standard", "strong"};
    for (std::size_t i = 0; i < levels.size(); ++i) {
        if (level == levels[i]) {
            return static_cast<int>(i);
        }
    }
    return -1;
}

std::string short_branch(std::string_view ref) {
    constexpr std::string_view heads = "refs/heads/";
    return std::string(ref.starts_with(heads) ? ref.substr(heads.size()) : ref);
}

}    // namespace

bool matches_glob(std::string_view pattern, std::string_view text) {
    // Iterative with one backtrack point: linear in practice, quadratic at worst.
    std::size_t p = 0;
    std::size_t t = 0;
    std::size_t star = std::string_view::npos;
    std::size_t mark = 0;
    while (t < text.size()) {
        if (p < pattern.size() && pattern[p] == '*') {
            star = p++;
            mark = t;
        } else if (p < pattern.size() && (pattern[p] == '?' || pattern[p] == text[t])) {
            ++p;
            ++t;
        } else if (star != std::string_view::npos) {
            p = star + 1;
            t = ++mark;
        } else {
            return false;
        }
    }
    while (p < pattern.size() && pattern[p] == '*') {
        ++p;
    }
    return p == pattern.size();
}

Status check_policy(const Proposal& proposal, const config::Server& server,
                    const config::Environment& environment) {
    if (!server.enabled) {
        return fail(Code::refused, "previews are switched off (PREVIEW_ENABLED=false)",
                    "set PREVIEW_ENABLED=true for the daemon and restart it");
    }
    std::vector<std::string> reasons;
    if (environment.approval) {
        reasons.push_back("environment " + environment.name +
                          " needs an approval, and this version cannot record one yet");
    }
    if (!environment.branches.empty()) {
        const std::string branch = short_branch(proposal.branch);
        bool allowed = false;
        for (const auto& pattern : environment.branches) {
            allowed = allowed || matches_glob(pattern, branch);
        }
        if (!allowed) {
            reasons.push_back("environment " + environment.name + " takes only branches " +
                              join(environment.branches, ", ") + ", not " + printable(branch));
        }
    }
    if (environment.provider != "local" && environment.provider != "docker") {
        reasons.push_back("environment " + environment.name + " has provider " +
                          environment.provider + "; this version runs local and docker");
    }
    if (rank_of(proposal.isolation) < rank_of(environment.min_isolation)) {
        reasons.push_back("isolation here is " + proposal.isolation + ", environment " +
                          environment.name + " asks for at least " + environment.min_isolation +
                          " (`seatrial doctor` says what is missing)");
    }
    if (!reasons.empty()) {
        return fail(Code::refused, join(reasons, "; "),
                    "choose another environment with --env, or change the server's file");
    }
    if (!proposal.update && proposal.free_bytes < server.min_free_bytes) {
        return fail(Code::unavailable,
                    "only " + std::to_string(proposal.free_bytes >> 20) + " MB are free, " +
                        std::to_string(server.min_free_bytes >> 20) + " MB are kept in reserve",
                    "free disk space, or stop a preview; stopping always works");
    }
    return {};
}

Status check_room(const Proposal& proposal, const config::Environment& environment,
                  const std::vector<Occupant>& occupants) {
    if (proposal.update || static_cast<int>(occupants.size()) < environment.max) {
        return {};
    }
    constexpr std::size_t most_named = 10;
    std::vector<std::string> holders;
    for (const auto& occupant : occupants) {
        if (holders.size() == most_named) {
            holders.push_back("and " + std::to_string(occupants.size() - most_named) + " more");
            break;
        }
        std::string holder = occupant.app + "/" + printable(occupant.key) + " (" + occupant.state;
        if (occupant.expires_at) {
            holder += " until " + render_time(*occupant.expires_at);
        }
        holders.push_back(holder + ")");
    }
    return fail(Code::refused,
                "environment " + environment.name + " has room for " +
                    std::to_string(environment.max) + ": " + join(holders, ", "),
                "stop one of them with `seatrial stop KEY`");
}

}    // namespace seatrial::admit
