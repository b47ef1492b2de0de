#include "edge/ports.h"

#include <gtest/gtest.h>
#include <netinet/in.h>
#include <sys/socket.h>

#include "base/file.h"

namespace seatrial::edge {
namespace {

// A listener of this very user; `shares`: as HAProxy binds.
struct Program {
    explicit Program(bool shares, in_addr_t address = htonl(INADDR_LOOPBACK)) {
        const int on = 1;
        ::setsockopt(socket.get(), SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
        if (shares) {
            ::setsockopt(socket.get(), SOL_SOCKET, SO_REUSEPORT, &on, sizeof on);
        }
        sockaddr_in place{};
        place.sin_family = AF_INET;
        place.sin_addr.s_addr = address;
        socklen_t size = sizeof place;
        EXPECT_EQ(::bind(socket.get(), reinterpret_cast<sockaddr*>(&place), size), 0);
        EXPECT_EQ(::listen(socket.get(), 1), 0);
        EXPECT_EQ(::getsockname(socket.get(), reinterpret_cast<sockaddr*>(&place), &size), 0);
        port = ntohs(place.sin_port);
    }
    Fd socket{::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)};
    int port = 0;
};

TEST(EdgePorts, AnotherProgramsPortIsAnObstacleWhileItHasIt) {
    int port = 0;
    {
        const Program other(false);
        port = other.port;
        EXPECT_EQ(find_obstacle({"127.0.0.1", port, {}}), "another program listens there");
        EXPECT_EQ(find_obstacle({"", port, {}}), "another program listens there");
        EXPECT_EQ(find_obstacle({"127.0.0.2", port, {}}), std::nullopt);
        const auto refused = check_obstacles({{"", port, {}}, {"127.0.0.2", port, {}}});
        ASSERT_FALSE(refused);
        EXPECT_EQ(refused.error().code, Code::conflict);
        EXPECT_EQ(refused.error().message, "users could not reach it: *:" + std::to_string(port) +
                                               ": another program listens there");
    }
    EXPECT_EQ(find_obstacle({"127.0.0.1", port, {}}), std::nullopt);
}

TEST(EdgePorts, OurOwnEdgeIsNone) {
    const Program edge(true, htonl(INADDR_ANY));
    EXPECT_EQ(find_obstacle({"127.0.0.1", edge.port, {}}), std::nullopt);
    EXPECT_EQ(find_obstacle({"", edge.port, {}}), std::nullopt);
}

TEST(EdgePorts, AnAddressOfAnotherMachineIsAnObstacle) {
    EXPECT_EQ(find_obstacle({"192.0.2.1", 4400, {}}), "this machine has no such address");
}

}    // namespace
}    // namespace seatrial::edge
