// What the health types share: asking again and again until a component answers.
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <string>

#include "plan/resource.h"

namespace seatrial::resource {

struct HealthLook {
    // True: healthy; false: not yet, and `seen` says why. An error ends the wait.
    std::function<Result<bool>(std::string& seen)> look;
    std::function<std::string()> last_lines;    // of its log, for who waited in vain
    std::string hint;                           // then
    std::chrono::milliseconds first_pause, longest_pause;
};

// `failed` at the context's deadline, with what was last seen; the look's errors but `timed_out`.
Status await_health(const HealthLook& health, const plan::Progress& progress, const Context& ctx);

// One GET at this host, 5 s at most: whether 2xx or 3xx came; `seen` says what did.
Result<bool> answers_well(std::uint16_t port, const std::string& path, std::string& seen,
                          const Context& ctx);

}    // namespace seatrial::resource
