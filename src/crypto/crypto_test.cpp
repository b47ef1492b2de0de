#include "crypto/crypto.h"

#include <gtest/gtest.h>

#include <set>

namespace seatrial::crypto {
namespace {

// FIPS 180-4 examples.
TEST(Sha256, PublishedVectors) {
    EXPECT_EQ(sha256_hex(""), "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
    EXPECT_EQ(sha256_hex("abc"),
              "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
    EXPECT_EQ(sha256_hex("abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq"),
              "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1");
    EXPECT_EQ(sha256_hex(std::string(1'000'000, 'a')),
              "cdc76e5c9914fb9281a1c7e284d73e67f1809a48a497200e046d39ccc7112cd0");
}

TEST(Sha256, PiecesAreTheWholeAndTheObjectStartsAnew) {
    Sha256 hash;
    hash.update("a");
    hash.update("");
    hash.update("bc");
    EXPECT_EQ(hash.finish_hex(), sha256_hex("abc"));
    hash.update("abc");
    EXPECT_EQ(hash.finish_hex(), sha256_hex("abc"));
}

TEST(Sha256, FieldsCannotFlowIntoEachOther) {
    Sha256 one;
    one.update_field("ab");
    one.update_field("c");
    Sha256 other;
    other.update_field("a");
    other.update_field("bc");
    EXPECT_NE(one.finish_hex(), other.finish_hex());
}

TEST(Sha256, BytesOfAnyValue) {
    EXPECT_EQ(sha256_hex(std::string_view("\0", 1)),
              "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d");
}

// RFC 4231, cases 1, 2 and 6.
TEST(Hmac, PublishedVectors) {
    EXPECT_EQ(hmac_sha256_hex(Secret(std::string(20, '\x0b')), "Hi There"),
              "b0344c61d8db38535ca8afceaf0bf12b881dc200c9833da726e9376c2e32cff7");
    EXPECT_EQ(hmac_sha256_hex(Secret("Jefe"), "what do ya want for nothing?"),
              "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843");
    EXPECT_EQ(hmac_sha256_hex(Secret(std::string(131, '\xaa')),
                              "Test Using Larger Than Block-Size Key - Hash Key First"),
              "60e431591ee0b67f0d8a26aacbf5b77f8e0bc6213728c5140546040f0ee37f54");
}

TEST(Random, DoesNotRepeat) {
    std::set<std::uint64_t> numbers;
    std::set<std::string> texts;
    for (int i = 0; i < 1000; ++i) {
        numbers.insert(random_u64());
        texts.insert(random_hex(16));
    }
    EXPECT_EQ(numbers.size(), 1000u);
    EXPECT_EQ(texts.size(), 1000u);
    EXPECT_EQ(texts.begin()->size(), 32u);
    EXPECT_EQ(texts.begin()->find_first_not_of("0123456789abcdef"), std::string::npos);
    EXPECT_EQ(random_hex(0), "");
}

TEST(Base64url, OfRfc4648) {
    EXPECT_EQ(base64url(""), "");
    EXPECT_EQ(base64url("f"), "Zg==");
    EXPECT_EQ(base64url("fo"), "Zm8=");
    EXPECT_EQ(base64url("foo"), "Zm9v");
    EXPECT_EQ(base64url("foobar"), "Zm9vYmFy");
    EXPECT_EQ(base64url("\xfb\xff\xfe"), "-__-");
}

TEST(ParseBase64Url, TakesWhatBase64UrlWritesAndNothingElse) {
    std::string bytes;
    for (int i = 0; i < 300; ++i) {
        EXPECT_EQ(parse_base64url(base64url(bytes)), bytes);
        bytes += static_cast<char>(i);
    }
    for (const char* text :
         {"Z", "Zg", "Zg=", "Zh==", "Zg==\n", "Zg==Zg==", "Zm9+", "====", "Zm 9"}) {
        EXPECT_EQ(parse_base64url(text), std::nullopt) << text;
    }
}

TEST(ConstantTimeEqual, SaysWhatEqualsSays) {
    EXPECT_TRUE(constant_time_equal("", ""));
    EXPECT_TRUE(constant_time_equal("token", "token"));
    EXPECT_FALSE(constant_time_equal("token", "tokem"));
    EXPECT_FALSE(constant_time_equal("token", "token "));
    EXPECT_FALSE(constant_time_equal("", "t"));
    EXPECT_FALSE(constant_time_equal(std::string_view("a\0b", 3), std::string_view("a\0c", 3)));
}

}    // namespace
}    // namespace seatrial::crypto
