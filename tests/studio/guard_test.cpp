#include "apps/studio/guard.h"

#include <gtest/gtest.h>

namespace weft::apps::studio {
namespace {

Sender sender(std::string_view host, std::string_view origin = {}, std::string_view site = {}, std::string_view mode = {}) {
  return {host, origin, site, mode};
}

TEST(StudioGuard, AnswersItsOwnPageAndProgramsThatSayNoOrigin) {
  for (const char* host : {"127.0.0.1:8080", "localhost:8080", "LOCALHOST:8080", "[::1]:8080", "192.168.1.7:80"}) {
    EXPECT_EQ(why_refused(sender(host), "127.0.0.1"), "") << host;
    EXPECT_EQ(why_refused(sender(host, "http://" + std::string(host), "same-origin", "cors"), "127.0.0.1"), "") << host;
  }
  EXPECT_EQ(why_refused(sender("studio.local:8080", "http://studio.local:8080"), "studio.local"), "");
}

TEST(StudioGuard, RefusesForeignOrigins) {
  for (const char* origin : {"http://evil.example", "null", "https://127.0.0.1:8080", "http://127.0.0.1:8081", "http://127.0.0.1"})
    EXPECT_NE(why_refused(sender("127.0.0.1:8080", origin), "127.0.0.1"), "") << origin;
}

TEST(StudioGuard, RefusesForeignNamesThatPointHere) {
  for (const char* host : {"evil.example:8080", "evil.example", "", "127.0.0.1.evil.example:8080", "[evil]:8080", "localhost.evil.example"})
    EXPECT_NE(why_refused(sender(host, "http://" + std::string(host)), "127.0.0.1"), "") << host;
}

TEST(StudioGuard, RefusesWhatForeignPagesEmbedButFollowsTheirLinks) {
  EXPECT_NE(why_refused(sender("127.0.0.1:8080", {}, "cross-site", "no-cors"), "127.0.0.1"), "");
  EXPECT_NE(why_refused(sender("127.0.0.1:8080", {}, "same-site", "no-cors"), "127.0.0.1"), "");
  EXPECT_EQ(why_refused(sender("127.0.0.1:8080", {}, "cross-site", "navigate"), "127.0.0.1"), "");
  EXPECT_EQ(why_refused(sender("127.0.0.1:8080", {}, "none", "navigate"), "127.0.0.1"), "");
}

}  // namespace
}  // namespace weft::apps::studio
