#include "preview/ports.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace seatrial::preview {
namespace {

// The document's own example: web 5100, api 5200, stride 100 (P4).
config::App document_app() {
    config::App app;
    for (const auto& [name, variable, base] :
         {std::tuple{"web", "WEB_PORT", 5100}, std::tuple{"api", "API_PORT", 5200}}) {
        config::Component component;
        component.name = name;
        component.port = variable;
        component.base_port = base;
        app.components.push_back(component);
    }
    return app;
}

TEST(PortsTest, TheDocumentsExampleNeverCollides) {
    const config::Server server = config::default_server();
    std::set<int> taken;
    for (int i = 0; i < 20; ++i) {
        std::map<std::string, int> ports;
        ASSERT_TRUE(choose_ports(document_app(), server, taken, ports));
        EXPECT_EQ(ports["api"] - ports["web"], 100);
        for (const auto& [component, port] : ports) {
            EXPECT_TRUE(taken.insert(port).second) << component << " " << port;
        }
    }
}

TEST(PortsTest, SkipsASlotWhosePortsAreNotAllFree) {
    std::map<std::string, int> ports;
    ASSERT_TRUE(choose_ports(document_app(), config::default_server(), {5200}, ports));
    EXPECT_EQ(ports["web"], 5300);    // 5100/5200 and 5200/5300 both need 5200
    EXPECT_EQ(ports["api"], 5400);
}

TEST(PortsTest, KeepsWhatIsChosenAndAddsForANewComponent) {
    std::map<std::string, int> ports = {{"web", 5100}};
    ASSERT_TRUE(choose_ports(document_app(), config::default_server(), {5100}, ports));
    EXPECT_EQ(ports["web"], 5100);
    EXPECT_EQ(ports["api"], 5200);
}

TEST(PortsTest, SaysWhenNoSlotIsLeft) {
    config::Server server = config::default_server();
    server.port_slots = 2;
    std::map<std::string, int> ports;
    const auto refused = choose_ports(document_app(), server, {5200}, ports);
    ASSERT_FALSE(refused);
    EXPECT_EQ(refused.error().code, Code::unavailable);
    EXPECT_TRUE(ports.empty());
}

}    // namespace
}    // namespace seatrial::preview
