#include "process/listeners.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "process/runner_fixture.h"

namespace seatrial::process {
namespace {

struct Listening {
    Fd socket;
    std::uint16_t port = 0;
    std::uint64_t inode = 0;
};

Listening listen_on(int family) {
    Listening made;
    made.socket = Fd(::socket(family, SOCK_STREAM | SOCK_CLOEXEC, 0));
    sockaddr_storage address{};
    address.ss_family = static_cast<sa_family_t>(family);
    socklen_t length = family == AF_INET ? sizeof(sockaddr_in) : sizeof(sockaddr_in6);
    if (family == AF_INET) {
        reinterpret_cast<sockaddr_in&>(address).sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    } else {
        reinterpret_cast<sockaddr_in6&>(address).sin6_addr = in6addr_loopback;
    }
    if (::bind(made.socket.get(), reinterpret_cast<sockaddr*>(&address), length) != 0 ||
        ::listen(made.socket.get(), 1) != 0) {
        return {};
    }
    ::getsockname(made.socket.get(), reinterpret_cast<sockaddr*>(&address), &length);
    made.port = ntohs(reinterpret_cast<sockaddr_in&>(address).sin_port);
    struct stat info{};
    ::fstat(made.socket.get(), &info);
    made.inode = info.st_ino;
    return made;
}

TEST(Listeners, FindsOurSocketsOfBothFamilies) {
    for (const int family : {AF_INET, AF_INET6}) {
        Listening made = listen_on(family);
        if (!made.socket) {
            GTEST_SKIP() << "the host has no IPv6 loopback";
        }
        const auto found = listeners_of(made.port);
        ASSERT_OK(found);
        ASSERT_EQ(found->size(), 1U);
        EXPECT_EQ((*found)[0].uid, ::getuid());
        EXPECT_EQ((*found)[0].inode, made.inode);
        EXPECT_TRUE(holds_socket({::getpid()}, made.inode));
        EXPECT_FALSE(holds_socket({::getpid()}, made.inode + 1000000));
        EXPECT_FALSE(holds_socket({}, made.inode));
        const std::string owner = describe_owner((*found)[0]);
        EXPECT_NE(owner.find("(pid " + std::to_string(::getpid())), std::string::npos) << owner;
        EXPECT_FALSE(*port_free(made.port));
        made.socket.reset();
        EXPECT_TRUE(listeners_of(made.port)->empty());
        EXPECT_TRUE(*port_free(made.port));
    }
}

TEST(Listeners, APortThatIsBoundWithoutListeningIsNotFree) {
    const Fd socket(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    socklen_t length = sizeof address;
    ASSERT_EQ(::bind(socket.get(), reinterpret_cast<sockaddr*>(&address), length), 0);
    ::getsockname(socket.get(), reinterpret_cast<sockaddr*>(&address), &length);
    EXPECT_FALSE(*port_free(ntohs(address.sin_port)));
}

TEST(Listeners, DescribesWhatItCannotSee) {
    EXPECT_EQ(describe_owner({80, 5, 0}), "");
    EXPECT_EQ(describe_owner({80, 5, 18446744073709551615U}), "a process of uid 5");
}

}    // namespace
}    // namespace seatrial::process
