// Running the `weft` command in tests.
#pragma once

#include "file_testing.h"

#include <sys/wait.h>

#include <algorithm>
#include <cstdlib>
#include <string>

namespace weft::testing {

struct Outcome {
  int status = 0;
  std::string out, err;
};

/// Runs the command by the shell. It finds no data but what its arguments or `environment` name.
inline Outcome weft(const Folder& folder, const std::string& arguments, const std::string& environment = {}) {
  const std::string line = "env -u WEFT_DATA_DIR XDG_CACHE_HOME=/nowhere " + environment + " '" WEFT_COMMAND "' " + arguments + " >'" +
                           (folder / "out").string() + "' 2>'" + (folder / "err").string() + "'";
  const int status = std::system(line.c_str());
  return {WIFEXITED(status) ? WEXITSTATUS(status) : -1, text_of(folder / "out"), text_of(folder / "err")};
}

inline void expect_failure(const Outcome& outcome, int status, const std::string& message) {
  EXPECT_EQ(outcome.status, status);
  EXPECT_TRUE(outcome.err.starts_with("weft: ")) << outcome.err;
  EXPECT_NE(outcome.err.find(message), std::string::npos) << outcome.err;
  EXPECT_EQ(std::ranges::count(outcome.err, '\n'), 1) << outcome.err;
}

}  // namespace weft::testing
