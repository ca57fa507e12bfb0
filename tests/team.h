// Work done by teams of threads of different sizes.
#pragma once

namespace weft {

/// Parallel regions that this thread starts are run by so many threads, until the end of its life. In builds without OpenMP, and under
/// the thread sanitizer, which can't see how GNU OpenMP's threads wait for each other, everything is done by one thread.
class Team {
 public:
  explicit Team(int threads);
  ~Team();
  Team(const Team&) = delete;
  Team& operator=(const Team&) = delete;

 private:
  int before_ = 0;
};

}  // namespace weft
