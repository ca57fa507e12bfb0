// The networks that learn to draw digits, in the studio.
#pragma once

#include "apps/gan_training.h"
#include "apps/studio/digits_shelf.h"
#include "apps/studio/rate.h"
#include "apps/studio/worker.h"

#include <memory>
#include <string>

namespace weft::apps::studio {

class GanDemonstration {
 public:
  GanDemonstration(Board& board, DigitsShelf& shelf, Backend backend);

  void add_to(Routes& routes);
  void use(Backend backend);

 private:
  void play(const Call& call);
  void pause();
  void reset();
  /// Digits of noise that was not seen before.
  void sample();
  Worker::Duration work();
  void draw_sheet();
  void tell();

  Board& board_;
  DigitsChoice digits_;
  Backend backend_;

  std::unique_ptr<GanModel> model_;
  std::unique_ptr<GanTrainer> trainer_;
  bool plays_ = false;
  std::int64_t sheets_ = 0;  ///< drawn so far
  std::uint64_t seed_ = 1;
  std::string sheet_, samples_;
  Json new_discriminator_ = Json::array(), new_generator_ = Json::array();
  Rate rate_;
  Every tells_{std::chrono::milliseconds(150)}, draws_{std::chrono::milliseconds(2000)};

  Worker worker_;
};

}  // namespace weft::apps::studio
