// What the edge shall serve, as plain data. One site is an app in an environment on this host; its
// releases live in slots, side by side, and which slot users reach is one row of a map.
#pragma once

#include <array>
#include <filesystem>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "base/secret.h"

namespace seatrial::edge {

inline constexpr std::array<std::string_view, 3> slot_names{"a", "b", "c"};

struct Listen {
    std::string address;    // "" is every address
    int port = 0;
    std::filesystem::path certificate;    // PEM with key; empty: plain HTTP (1.1 and 2)
    auto operator<=>(const Listen&) const = default;
};

struct Server {    // one instance of a component
    std::string address;
    int port = 0;
    auto operator<=>(const Server&) const = default;
};

// The longest path of the host's own routes wins, then that of the routes for any host. "/api"
// covers /api and /api/…, not /apix.
struct Route {
    std::string host;    // "" is any
    std::string path;    // begins with /
    std::string component;
};

// Part of the users on another slot. Who comes without a share cookie is given one.
struct Canary {
    std::string slot;
    int per_mille = 0;
    std::vector<std::string> allow;    // values of Site::user_cookie that always go there
};

struct Site {
    std::string name;    // a-z 0-9 and dash
    std::vector<Listen> listens;
    std::vector<std::string> components;
    std::vector<Route> routes;
    int instances = 4;    // room for that many servers of a component in a slot
    std::map<std::string, std::map<std::string, std::vector<Server>>> slots;    // slot, component
    std::string stable;    // the slot that serves; "" serves nothing yet
    std::optional<Canary> canary;
    std::string user_cookie = "uid";
    // A request with this value in x-seatrial-probe goes to the slot beside it, unseen by users.
    std::map<std::string, Secret> probes;    // slot → value
    bool paused = false;                     // requests wait, for at most 30 s
    bool sticky_sessions = false;            // a browser stays with its instance
    int slow_ms = 500;                       // an answer that starts later counts as slow
};

struct PreviewRoute {
    std::string host;
    Server server;
};

struct Wanted {
    std::vector<Site> sites;
    std::vector<Listen> preview_listens;
    std::vector<PreviewRoute> previews;
    // Answers for hosts whose preview does not: "127.0.0.1:3000" or "unix@/path".
    std::string waker;
    int most_connections = 4000;
};

// Every fault that would make it no configuration: names, ports, slots, paths, values.
Status validate(const Wanted& wanted);

// The name of a slot's backend for a component: "site.slot.component", also its key in tables.
std::string backend_name(std::string_view site, std::string_view slot, std::string_view component);

}    // namespace seatrial::edge
