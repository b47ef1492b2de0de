// A Compose file with its nginx.conf, as it becomes components and environments. Inside config/
// only.
#pragma once

#include <map>
#include <string>
#include <utility>
#include <vector>

#include "config/compose.h"
#include "config/init_draft.h"
#include "config/nginx.h"

namespace seatrial::config::init {

// One component, as it stands in each environment.
struct Group {
    std::string name;
    std::vector<std::pair<std::string, const ComposeService*>> services;    // environment, service
};

struct Takeover {
    const Repository& repository;
    Draft& draft;
    std::string file;
    Compose compose;
    std::vector<Group> groups;
    std::map<std::string, std::string> names;    // service → component
    std::vector<const ComposeService*> proxies;
    bool shared = false;    // services that stay with Compose
    std::string nginx_file;
    Nginx nginx;
};

inline constexpr std::size_t takeover_name_limit = 29;

// init_places.cpp: the environments, once the draft has its parts.
void make_places(Takeover& all);

}    // namespace seatrial::config::init
