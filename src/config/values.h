// Texts of the configuration turned into values. Nothing here reports a fault: nullopt means
// "not such a value", the caller knows the key and the line.
#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace seatrial::config {

std::optional<std::int64_t> parse_integer(std::string_view text);
std::optional<bool> parse_boolean(std::string_view text);    // true or false alone
// A person's or a shell's yes and no, for environment variables: 1/0, yes/no, on/off too.
std::optional<bool> parse_switch(std::string_view text);
// "90s", "1h30m", "500ms", "7d"; a number needs its unit.
std::optional<std::chrono::milliseconds> parse_duration(std::string_view text);
std::string render_duration(std::chrono::milliseconds duration);    // "1h30m", "0s"
// "4096", "512K", "16M", "2G", "1T", also "2GB" and "2GiB"; always powers of 1024.
std::optional<std::int64_t> parse_size(std::string_view text);
std::optional<int> parse_percent(std::string_view text);    // "150%", "150"

// [A-Za-z_][A-Za-z0-9_]*, at most 128 bytes.
bool is_variable_name(std::string_view text);
// Lower-case letters, digits and inner dashes, first a letter, at most `limit` bytes.
bool is_short_name(std::string_view text, std::size_t limit);
// A host in a URL: name or address, without a port; IPv6 in brackets.
bool is_host(std::string_view text);
// Relative, no empty, '.' or '..' segment ("./x" and "x/" are put right by clean_path first).
bool is_path_below(std::string_view text);
// "./a/b/" -> "a/b".
std::string_view clean_path(std::string_view text);
// "web-admin" -> "WEB_ADMIN", as in WEB_ADMIN_PORT.
std::string variable_prefix(std::string_view component);

// As a Docker engine lets volumes and networks be called; at most 128 bytes.
bool is_engine_name(std::string_view text);
// "registry.example.com", "host:5000": letters, digits, dots and dashes, then perhaps a port.
bool is_registry(std::string_view text);

}    // namespace seatrial::config
