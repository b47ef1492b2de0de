// The names of everything Seatrial makes. A name is chosen once, written down before the
// effect and never computed again; hostile text (branches, issue keys) only ever reaches a
// name through slug().
#pragma once

#include <string>
#include <string_view>

#include "base/result.h"

namespace seatrial {

// Every name of ours starts with this; with the instance id behind it, it is the mark
// without which nothing is touched.
inline constexpr std::string_view name_prefix = "st-";

// Lower-case letters, digits and single inner dashes, at most `limit` bytes, never empty
// ("x" when nothing is left); not unique.
std::string slug(std::string_view text, std::size_t limit);

// `st-<instance>-<slug>-<digest cut to 12>`: at most 48 bytes, RFC 1123, unique by `digest_hex`
// (SHA-256 in hex of whatever makes the thing one of its kind, e.g. life and role).
std::string make_name(std::string_view instance, std::string_view text,
                      std::string_view digest_hex);

// "st-<instance>-": what a listing of our own things looks for.
std::string name_mark(std::string_view instance);
// True for a name that make_name() of this instance could have made: mark, charset, length.
bool is_our_name(std::string_view instance, std::string_view name);

// 6 random base-32 characters (lower case, first is a letter); `random` gives 4 bytes.
std::string make_instance_id(std::uint32_t random);
// ULID: 48 bits of UTC milliseconds, 80 random bits, Crockford base 32, 26 characters.
std::string make_ulid(std::int64_t unix_millis, std::uint64_t random_high,
                      std::uint64_t random_low);

// Text of a person (issue key, environment, app, component): 1..`limit` bytes of valid UTF-8
// without control or bidirectional characters and without a leading dash.
Status check_label(std::string_view what, std::string_view text, std::size_t limit);

}    // namespace seatrial
