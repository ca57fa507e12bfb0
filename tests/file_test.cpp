#include "file_testing.h"

#include <sys/stat.h>

namespace weft::file_test {
namespace {

using testing::expect_run_error, testing::Folder, testing::text_of;

TEST(File, SavesReplaceAFileAsAWhole) {
  const Folder folder;
  const auto path = folder.with("a", "long old content");
  io::save_file(path, "new");
  EXPECT_EQ(text_of(path), "new");
  EXPECT_EQ(folder.file_count(), 1u);
}

TEST(File, AFullDiskKeepsTheOldFile) {
  testing::expect_old_file_survives_a_full_disk([](const auto& path) { io::save_file(path, std::string(5000, 'x')); });
}

TEST(File, AFullDeviceIsReported) {
  expect_run_error([] { io::save_file("/dev/full", "x"); }, "file \"/dev/full\": can't be written: No space left on device");
  EXPECT_TRUE(std::filesystem::is_character_file("/dev/full"));
}

TEST(File, SavesKeepPermissionsAndFollowLinks) {
  const Folder folder;
  const auto path = folder.with("a", "old"), link = folder / "link";
  ::chmod(path.c_str(), 0640);
  std::filesystem::create_symlink("a", link);
  io::save_file(link, "new");
  EXPECT_TRUE(std::filesystem::is_symlink(link));
  EXPECT_EQ(text_of(path), "new");
  EXPECT_EQ(static_cast<int>(std::filesystem::status(path).permissions()), 0640);
}

TEST(File, WhatCannotBeWrittenIsReportedWithTheSystemsReason) {
  const Folder folder;
  expect_run_error([&] { io::save_file(folder / "none/a", "x"); }, "none/a\": can't be written: No such file or directory");
  expect_run_error([&] { io::save_file(folder / ".", "x"); }, "can't be written: Is a directory");
  folder.with("file", "x");
  expect_run_error([&] { io::save_file(folder / "file/a", "x"); }, "can't be written: Not a directory");
  EXPECT_EQ(folder.file_count(), 1u);
}

TEST(File, OnlyRegularFilesAreRead) {
  const Folder folder;
  expect_run_error([&] { io::load_file(folder / "none"); }, "none\": can't be opened: No such file or directory");
  expect_run_error([&] { io::load_file(folder / "."); }, "isn't a regular file");
  ::mkfifo((folder / "pipe").c_str(), 0600);
  expect_run_error([&] { io::load_file(folder / "pipe"); }, "isn't a regular file");
  EXPECT_TRUE(io::load_file(folder.with("empty", "")).empty());
}

}  // namespace
}  // namespace weft::file_test
