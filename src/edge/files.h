// What HAProxy reads: configuration, maps and the pause gate, as pure functions of what is wanted.
// A start or reload from these files alone serves what is wanted at once.
// Source: HAProxy 2.6 configuration manual; why each line stands there: the comments in files.cpp.
#pragma once

#include <filesystem>
#include <map>
#include <string>

#include "edge/wanted.h"

namespace seatrial::edge {

// One map file: key → value. The file's name is without ".map".
using Rows = std::map<std::string, std::string>;
using Maps = std::map<std::string, Rows>;

// Which server of which shard a preview's host has: "7/p3". Kept by the edge, so that a preview
// stays where it is while others come and go.
using PreviewSeats = std::map<std::string, std::string>;
inline constexpr int preview_shards = 64;
int preview_shard(std::string_view host);
std::string preview_backend(int shard);    // "previews.7"

// The instances of a slot's component are the servers r1, r2, …
std::string server_name(int instance);

Maps render_maps(const Wanted& wanted, const PreviewSeats& seats);
std::string render_map(const Rows& rows);
// `structure`: what identifies the parts that only a reload can change; stands in the file, and
// the running process tells it as its description.
std::string render_config(const Wanted& wanted, const PreviewSeats& seats,
                          const std::filesystem::path& folder, const std::string& structure);
std::string render_pause_gate(const std::filesystem::path& folder);
// The same text for two wants that differ in maps and servers' addresses only.
std::string structure_of(const Wanted& wanted, const std::filesystem::path& folder);

}    // namespace seatrial::edge
