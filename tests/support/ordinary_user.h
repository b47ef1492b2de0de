// Tests of what an ordinary user sees, also where the tests run as root.
#pragma once

#include <grp.h>
#include <unistd.h>

#include "base/result.h"

namespace seatrial::test {

constexpr uid_t ordinary_uid = 65534;

// For good, for this process; does nothing when it is an ordinary user already.
inline void leave_root() {
    check(::geteuid() != 0 || (::setgroups(0, nullptr) == 0 &&
                               ::setresgid(ordinary_uid, ordinary_uid, ordinary_uid) == 0 &&
                               ::setresuid(ordinary_uid, ordinary_uid, ordinary_uid) == 0),
          "leave root");
}

}    // namespace seatrial::test
