// The uids that an instance gives to its previews: a range far above those of people and
// services, chosen by the instance id, so that two installations on one host do not meet.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <string_view>

namespace seatrial::process {

inline constexpr int uid_slots = 1000;

constexpr uid_t first_uid(std::string_view instance) {
    std::uint32_t hash = 2166136261U;    // FNV-1a
    for (const char c : instance) {
        hash = (hash ^ static_cast<unsigned char>(c)) * 16777619U;
    }
    return 2'000'000U + (hash % 2000U) * static_cast<uid_t>(uid_slots);
}

constexpr bool in_uid_range(std::string_view instance, uid_t uid) {
    const uid_t first = first_uid(instance);
    return uid >= first && uid < first + static_cast<uid_t>(uid_slots);
}

}    // namespace seatrial::process
