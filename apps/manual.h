// The whole help of the program in one piece, made of what the commands declare: nothing in it is written twice.
#ifndef RB_APPS_MANUAL_H_
#define RB_APPS_MANUAL_H_

#include <string>

namespace rb::apps {

std::string ManualMarkdown();  // docs/cli.md
std::string ManualPage();      // residualbind.1, for man(1)
// Commands, subcommands, flags and the values of flags that take a few; file names for all else.
std::string BashCompletion();

}  // namespace rb::apps

#endif  // RB_APPS_MANUAL_H_
