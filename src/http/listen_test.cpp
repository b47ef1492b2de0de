#include "http/listen.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include <fstream>

namespace seatrial::http {
namespace {

class ListenTest : public ::testing::Test {
protected:
    void SetUp() override {
        std::string made = "/tmp/st-listen-XXXXXX";
        ASSERT_NE(::mkdtemp(made.data()), nullptr);
        folder_ = made;
        path_ = folder_ / "socket";
    }
    void TearDown() override { std::filesystem::remove_all(folder_); }
    std::filesystem::path folder_;
    std::filesystem::path path_;
};

TEST_F(ListenTest, ModeIsExactWhateverTheUmask) {
    for (const mode_t mode : {0600u, 0660u, 0666u}) {
        const mode_t before = ::umask(027);
        const auto fd = listen_unix(path_, mode);
        ::umask(before);
        ASSERT_TRUE(fd) << fd.error().message;
        struct stat seen{};
        ASSERT_EQ(::stat(path_.c_str(), &seen), 0);
        EXPECT_EQ(seen.st_mode & 0777, mode);
    }
}

TEST_F(ListenTest, StaleSocketIsReplacedLiveOneIsNot) {
    {
        const auto first = listen_unix(path_, 0600);
        ASSERT_TRUE(first);
        const auto second = listen_unix(path_, 0600);
        ASSERT_FALSE(second);
        EXPECT_EQ(second.error().code, Code::conflict);
        EXPECT_TRUE(std::filesystem::is_socket(path_));
    }
    EXPECT_TRUE(std::filesystem::is_socket(path_));    // left, as by a killed server
    EXPECT_TRUE(listen_unix(path_, 0600));
}

TEST_F(ListenTest, WhatIsNoSocketStays) {
    std::ofstream(path_) << "precious";
    const auto fd = listen_unix(path_, 0600);
    ASSERT_FALSE(fd);
    EXPECT_EQ(fd.error().code, Code::conflict);
    std::filesystem::remove(path_);
    std::filesystem::create_symlink(folder_ / "elsewhere", path_);
    EXPECT_EQ(listen_unix(path_, 0600).error().code, Code::conflict);
    EXPECT_TRUE(std::filesystem::is_symlink(path_));
}

TEST_F(ListenTest, BadPathsAreErrors) {
    EXPECT_EQ(listen_unix(folder_ / std::string(200, 'x'), 0600).error().code, Code::invalid);
    EXPECT_EQ(listen_unix("", 0600).error().code, Code::invalid);
    EXPECT_EQ(listen_unix(folder_ / "no" / "socket", 0600).error().code, Code::not_found);
}

TEST_F(ListenTest, TcpPortInUseIsAConflict) {
    const auto first = listen_tcp("127.0.0.1", 0);
    ASSERT_TRUE(first);
    const auto port = port_of(*first);
    ASSERT_TRUE(port);
    EXPECT_GT(*port, 0);
    const auto second = listen_tcp("127.0.0.1", *port);
    ASSERT_FALSE(second);
    EXPECT_EQ(second.error().code, Code::conflict);
    EXPECT_THAT(second.error().message, ::testing::HasSubstr(std::to_string(*port)));
    EXPECT_EQ(listen_tcp("localhost", 0).error().code, Code::invalid);
    EXPECT_FALSE(port_of(*listen_unix(path_, 0600)));
}

}    // namespace
}    // namespace seatrial::http
