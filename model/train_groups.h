// Which models train side by side, and the queue from which machines take them.
#ifndef RB_MODEL_TRAIN_GROUPS_H_
#define RB_MODEL_TRAIN_GROUPS_H_

#include <deque>
#include <vector>

#include "model/trainer.h"

namespace rb {

// The models that wait for a machine, by group. Not for several threads at once.
class TrainQueue {
 public:
  // groups: all models of the run; `waiting`: whether a model still has to be trained; `machines` will share them.
  TrainQueue(std::vector<std::vector<int>> groups, const std::vector<bool>& waiting, int machines);

  struct Opening {
    int group = -1;           // -1: nothing waits
    std::vector<int> models;  // to train side by side, taken from the queue
  };
  // What a machine without models begins with: models of the first group that has some, as many as are its share when
  // all machines open for the first time, and of what is left later; at most `most` (0: any number).
  Opening Open(int most);
  // The next model of that group, -1 when none waits.
  int Next(int group);

  const std::vector<int>& Models(int group) const { return groups_[group]; }

 private:
  std::vector<std::vector<int>> groups_;
  std::vector<std::deque<int>> waiting_;
  int machines_, opened_ = 0;
};

}  // namespace rb

#endif  // RB_MODEL_TRAIN_GROUPS_H_
