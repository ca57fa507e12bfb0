// The three kinds of error that weft throws. Nothing in the library aborts or prints.
#pragma once

#include <stdexcept>

namespace weft {

struct Error : std::runtime_error {
  using std::runtime_error::runtime_error;
};

/// The graph is wrong: found while building it. Names the operation, its label, the operands and the user's source line.
struct GraphError : Error {
  using Error::Error;
};

/// Feeds, files, memory or a device are wrong: found while running. Variables keep their values from before the run.
struct RunError : Error {
  using Error::Error;
};

/// A fault of weft itself; worth a report.
struct InternalError : Error {
  using Error::Error;
};

}  // namespace weft
