#include "apps/studio/board.h"

#include <gtest/gtest.h>

#include <thread>

namespace weft::apps::studio {
namespace {

using std::chrono::milliseconds;

TEST(StudioBoard, GivesALateReaderEverythingAndThenTheNews) {
  Board board;
  board.set("digits", {{"steps", 1}});
  board.append("digits", {{"losses", {{1, 2.5}}}});
  const auto first = board.after(0, milliseconds(0));
  ASSERT_EQ(first.entries.size(), 1u);
  EXPECT_EQ(Json::parse(first.entries[0]), Json::parse(R"({"whole": {"digits": {"steps": 1, "losses": [[1, 2.5]]}}})"));
  board.set("digits", {{"steps", 2}});
  board.append("digits", {{"losses", {{2, 2.25}}}});
  const auto second = board.after(first.upto, milliseconds(0));
  ASSERT_EQ(second.entries.size(), 2u);
  EXPECT_EQ(Json::parse(second.entries[0]), Json::parse(R"({"topic": "digits", "set": {"steps": 2}})"));
  EXPECT_EQ(Json::parse(second.entries[1]), Json::parse(R"({"topic": "digits", "append": {"losses": [[2, 2.25]]}})"));
}

TEST(StudioBoard, GivesEverythingAgainToAReaderWhoWasAwayForTooLong) {
  Board board;
  board.set("a", {{"n", 0}});
  const auto first = board.after(0, milliseconds(0));
  for (int i = 1; i <= 2000; ++i) board.set("a", {{"n", i}});
  const auto second = board.after(first.upto, milliseconds(0));
  ASSERT_EQ(second.entries.size(), 1u);
  EXPECT_EQ(Json::parse(second.entries[0]), Json::parse(R"({"whole": {"a": {"n": 2000}}})"));
}

TEST(StudioBoard, JoinsTextsAndKeepsListsBounded) {
  Board board;
  board.append("t", {{"text", "to be"}});
  board.append("t", {{"text", " or not"}});
  EXPECT_EQ(board.state("t")["text"], "to be or not");
  for (int i = 0; i < 100000; ++i) board.append("t", {{"list", {i}}});
  const Json list = board.state("t")["list"];
  EXPECT_LE(list.size(), Board::longest_list);
  EXPECT_GE(list.size(), Board::longest_list / 2);
  EXPECT_EQ(list[0], 0);
}

TEST(StudioBoard, WakesThoseWhoWaitWhenItIsClosed) {
  Board board;
  const auto seen = board.after(0, milliseconds(0)).upto;
  std::thread closes([&] { board.close(); });
  EXPECT_TRUE(board.after(seen, std::chrono::hours(1)).entries.empty());
  closes.join();
  EXPECT_TRUE(board.is_closed());
}

TEST(StudioBoard, ShowsWhatIsNotUtf8) {
  Board board;
  board.set("t", {{"text", "a\xff"}});
  EXPECT_EQ(Json::parse(board.after(0, milliseconds(0)).entries[0])["whole"]["t"]["text"], "a\xef\xbf\xbd");
}

}  // namespace
}  // namespace weft::apps::studio
