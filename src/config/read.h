// Takes values out of a tree that validate() has put into its one form. What is absent or
// faulty leaves the target as it was.
#pragma once

#include <chrono>
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "config/yaml.h"

namespace seatrial::config {

void read(const Node& map, std::string_view key, std::string& out);
void read(const Node& map, std::string_view key, bool& out);
void read(const Node& map, std::string_view key, int& out);    // "150%" too
void read(const Node& map, std::string_view key, std::chrono::milliseconds& out);
void read(const Node& map, std::string_view key, std::vector<std::string>& out);
void read(const Node& map, std::string_view key, std::map<std::string, std::string>& out);
void read(const Node& map, std::string_view key, UserCommand& out);
void read_size(const Node& map, std::string_view key, std::int64_t& out);
void read_path(const Node& map, std::string_view key, std::string& out);    // "./a/" -> "a"
void read_paths(const Node& map, std::string_view key, std::vector<std::string>& out);

// The children of map[key]; empty when absent.
const std::vector<Node>& children_of(const Node& map, std::string_view key);

}    // namespace seatrial::config
