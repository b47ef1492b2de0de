// Whether HAProxy could listen somewhere: one port that another program has must neither stop all
// the others nor be found out by users.
#pragma once

#include <optional>
#include <string>

#include "edge/wanted.h"

namespace seatrial::edge {

std::string to_string(const Listen& listen);    // "127.0.0.1:4400", "*:80"

// Why not: "another program listens there". nullopt: it could, or that cannot be told from here (a
// port below 1024 whose owner the kernel does not show). What a HAProxy of this user has is fine.
std::optional<std::string> find_obstacle(const Listen& listen);

// `conflict`, naming the ports and what to do, when any has an obstacle.
Status check_obstacles(const std::vector<Listen>& listens);

}    // namespace seatrial::edge
